"""The wiring: Beam steps, readers per source, chat backends, the reply store, writers and exports."""

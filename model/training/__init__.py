"""SFT and Phantom Optimization: losses, data, optimiser steps, checkpoints, logs."""

"""The demo input data: five small sources in real on-disk formats, made from packages that the demo extra installs."""

from pipelines.demo.write import DemoSummary, SourceSummary, write_demo_data

__all__ = ['DemoSummary', 'SourceSummary', 'write_demo_data']

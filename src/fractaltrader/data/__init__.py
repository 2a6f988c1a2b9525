"""Market data: candle files, the store, the quality report and the generated market."""

"""Does a result depend on the inputs as it must? A candidate is run again on altered copies of them."""

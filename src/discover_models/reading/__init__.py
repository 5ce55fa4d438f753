"""From a published configuration to an `Architecture`. Pure: values in, values out."""

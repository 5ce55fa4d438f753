"""What SGLang's model classes are made of, read from their source without importing it."""

"""Small helpers."""

import importlib


class LazyImport:
    """A name of a module that is imported when it is first called."""

    def __init__(self, module_name, name):
        self.module_name = module_name
        self.name = name

    def __call__(self, *arguments, **options):
        found = getattr(importlib.import_module(self.module_name), self.name)
        return found(*arguments, **options)

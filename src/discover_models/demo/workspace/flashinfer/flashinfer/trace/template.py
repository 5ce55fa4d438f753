"""What is recorded of a call."""


class TraceTemplate:
    def __init__(self, *, op_type, name_prefix, axes):
        self.op_type = op_type
        self.name_prefix = name_prefix
        self.axes = axes

"""What goes wrong with single requests on the way to a web service and back."""

from __future__ import annotations

from emulator.server import Fault

HTML = "<html><body>Bad gateway</body></html>"
FAULTS = {
    "refused": Fault(how="hang up"),
    "timed out": Fault(how="hang"),
    "timed out after it acted": Fault(how="hang", when="after"),
    "cut after it acted": Fault(how="hang up", when="after"),
    "truncated": Fault(how="truncate", when="after"),
    "500": Fault(status=500),
    "502 after it acted": Fault(status=502, when="after"),
    "503 in HTML": Fault(status=503, body=HTML, when="after"),
    "200 in HTML": Fault(status=200, body=HTML, when="after"),
    "200 with another thing": Fault(status=200, body='{"message": "hello"}', when="after"),
    "200 cut JSON": Fault(status=200, body='{"number": ', when="after"),
    "429": Fault(status=429),
    "429 with Retry-After": Fault(status=429, headers={"retry-after": "7"}),
    "403 secondary": Fault(
        status=403, body='{"message": "You have exceeded a secondary rate limit."}'
    ),
}

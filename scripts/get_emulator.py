"""Put the GitHub emulator that the tests talk to into a cache folder and print where it is.

It is the npm package `emulate` (Apache-2.0), which needs no other package.
"""

from npm_archive import Archive

EMULATOR = Archive(
    package="emulate@0.12.2",
    integrity="sha512-cHz1ITT3xm3HJM6qSks7+ME5Bw/W7zp7ky2Ve4M4ANls"
    "46EfeAy0m/nWOjTLJEgLEQcA9gW+L3cWjuUcklJxtQ==",
    sign="dist/api.js",
    variable="DISCOVER_MODELS_EMULATOR",
)

if __name__ == "__main__":
    EMULATOR.install()
    print(EMULATOR.folder())

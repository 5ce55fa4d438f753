"""Put the accessibility checker that the tests of the page use into a cache folder.

It is the npm package `axe-core` (MPL-2.0), which needs no other package.
"""

from npm_archive import Archive

AXE = Archive(
    package="axe-core@4.14.1",
    integrity="sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NP"
    "jCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
    sign="axe.min.js",
    variable="DISCOVER_MODELS_AXE",
)

if __name__ == "__main__":
    AXE.install()
    print(AXE.folder())

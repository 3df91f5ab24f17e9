# Spack recipe. `spack repo add tools/packaging/spack && spack install dwgf`. UNTESTED: Spack was not to be
# had where this was written; only Python has parsed it, and a test compares its options and libraries with
# CMake's.
from spack.package import *


class Dwgf(CMakePackage, CudaPackage):
    """Restores images, and solves other inverse problems y = A(x) + noise, with a latent diffusion prior by a
    Wasserstein gradient flow of interacting particles (arXiv 2509.19276), on one core or a cluster."""

    license("Apache-2.0")

    # From a checkout: spack develop --path $PWD dwgf@main
    version("main")

    variant("tests", default=False, description="Build the tests")

    depends_on("c", type="build")
    depends_on("cxx", type="build")
    depends_on("cmake@3.25:", type="build")
    depends_on("ninja", type="build")
    depends_on("pkgconfig", type="build")

    depends_on("mpi@3:")
    depends_on("hdf5@1.10: +mpi")
    depends_on("boost@1.74: +program_options")
    depends_on("nlohmann-json@3.11:")
    depends_on("openssl")
    depends_on("libjpeg-turbo@2:")
    depends_on("libspng@0.7:")
    depends_on("libtiff@4.5:")
    depends_on("lcms@2.9:")
    depends_on("libwebp +libwebpdemux")
    depends_on("zlib-api")
    depends_on("libdeflate")
    depends_on("utf8proc")
    depends_on("py-torch@2.11:")
    depends_on("py-torch ~cuda", when="~cuda")
    depends_on("py-torch +cuda", when="+cuda")
    depends_on("nccl", when="+cuda")
    depends_on("googletest@1.12:", when="+tests")

    # A header, for which Spack has no package.
    resource(name="mustache", git="https://github.com/kainjow/Mustache.git", tag="v4.1", placement="kainjow")

    generator("ninja")

    def cmake_args(self):
        torch = join_path(self.spec["py-torch"].prefix, python_platlib, "torch", "share", "cmake", "Torch")
        return [
            self.define_from_variant("DWGF_CUDA", "cuda"),
            self.define_from_variant("DWGF_TESTS", "tests"),
            self.define("Torch_DIR", torch),
            self.define("DWGF_MUSTACHE_INCLUDE", self.stage.source_path),
        ]

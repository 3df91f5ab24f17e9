#!/usr/bin/env python3
"""What `cmake --install` makes is enough: the example builds and runs against the prefix alone, the program
starts without a word about libraries, the module file loads, and the recipes for Spack and Apptainer say what
CMake says.

    python3 tests/package/package_test.py BUILD SCRATCH     SCRATCH: a folder to install and build in;
                                                            replaced
"""
import ast
import os
import pathlib
import re
import shutil
import subprocess
import sys
import types

SOURCE = pathlib.Path(__file__).resolve().parents[2]
PACKAGING = SOURCE / "tools/packaging"
# What a login shell has, and the liberties that Open MPI wants as root in a container.
BARE = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": os.environ.get("HOME", "/"),
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_btl_base_warn_component_unused": "0"}


def run(*words, environment=BARE, code=0):
    finished = subprocess.run([str(word) for word in words], env=environment, text=True,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=200)
    assert finished.returncode == code, f"{words}: exit code {finished.returncode}\n{finished.stdout}"
    return finished.stdout


def install(build, prefix):
    run("cmake", "--install", build, "--prefix", prefix)
    for name in ("bin/dwgf", "libexec/dwgf/dwgf", "include/dwgf/flow/solve.hpp",
                 "lib/cmake/dwgf/dwgfConfig.cmake",
                 "lib/libdwgf.a",
                 "share/dwgf/priors/fashion/unet/config.json", "share/modulefiles/dwgf",
                 "share/dwgf/example/main.cpp",
                 "share/bash-completion/completions/dwgf", "share/man/man1/dwgf.1", "share/dwgf/jobs/quickstart.ini",
                 "share/dwgf/jobs/data/fashion/01_pullover.png", "share/dwgf/slurm/submit", "share/doc/dwgf/README.md",
                 "share/doc/dwgf/src/store/README.md", "share/doc/dwgf/tools/packaging/policies.md"):
        assert (prefix / name).exists(), f"{name} was not installed"
    for file in (prefix / "lib/cmake/dwgf").glob("*.cmake"):
        # The LibTorch that tools/setup fetched is named as a hint, which is taken where it is there.
        text = file.read_text().replace(str(SOURCE / ".deps"), "")
        assert str(SOURCE) not in text and str(build) not in text, f"{file.name} names the tree it was built in"


def example(prefix, folder):
    shutil.copytree(prefix / "share/dwgf/example", folder)
    ninja = ["-G", "Ninja"] if shutil.which("ninja") else []
    run("cmake", *ninja, "-S", folder, "-B", folder / "build", f"-DCMAKE_PREFIX_PATH={prefix}",
        "-DCMAKE_BUILD_TYPE=Release")
    commands = run("cmake", "--build", folder / "build", "--verbose")
    assert f"{SOURCE}/include" not in commands and f"{SOURCE}/src" not in commands, "the source tree was used"
    printed = run(folder / "build/every_second_row", SOURCE / "jobs/data/fashion/01_pullover.png",
                  environment=BARE | {"OMP_NUM_THREADS": "1"})
    repeated, restored = (float(number) for number in re.findall(r"(-?[\d.]+) dB", printed))
    assert restored > repeated + 1, f"the flow does no better than repeated rows: {printed}"
    print("example:", printed.strip())
    assert "usage: every_second_row" in run(folder / "build/every_second_row", code=64)
    said = run(folder / "build/every_second_row", SOURCE / "jobs/quickstart.png", code=65)
    assert "quickstart.png" in said and "grey picture of 32 x 32" in said, said


def needs_c(prefix, folder):
    folder.mkdir()
    (folder / "CMakeLists.txt").write_text("cmake_minimum_required(VERSION 3.25)\nproject(p CXX)\nfind_package(dwgf REQUIRED)\n")
    said = run("cmake", "-S", folder, "-B", folder / "build", f"-DCMAKE_PREFIX_PATH={prefix}", code=1)
    assert "LANGUAGES C CXX" in " ".join(said.split()), said


def program(prefix, folder):
    folder.mkdir()
    out = folder / "results.h5"
    run(prefix / "bin/dwgf", "restore", "--input.data", SOURCE / "jobs/data/fashion", "--input.count", "1",
        "--problem.operator",
        "mean:4", "--flow.preset", "fast", "--flow.steps", "1", "--store.out", out)
    assert "1 done" in run(prefix / "bin/dwgf", "status", out)


def selftest(prefix, folder):
    """The copy alone, in a folder that is not the tree's."""
    folder.mkdir()
    said = subprocess.run([prefix / "bin/dwgf", "selftest"], cwd=folder, env=BARE | {"TMPDIR": str(folder)}, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
    assert said.returncode == 0 and "this copy works" in said.stdout, said.stdout
    assert said.stdout.count("\nok ") + said.stdout.startswith("ok ") >= 9, said.stdout
    assert not list(folder.iterdir()), "selftest left files behind"
    print(said.stdout.splitlines()[-1])
    site = run("bash", "-c", f"source {prefix}/share/dwgf/slurm/sites/default.sh && echo $dwgf_program").strip()
    assert site == str(prefix / "bin/dwgf"), site
    page = (prefix / "share/man/man1/dwgf.1").read_text()
    assert page.startswith(".TH DWGF 1") and ".SS restore" in page and "flow.particles" in page
    if shutil.which("man"):
        assert "SYNOPSIS" in run("man", "--warnings", "-l", prefix / "share/man/man1/dwgf.1", environment=BARE | {"MANPAGER": "cat"})
    broken = [f"{page.relative_to(prefix)}: {link}" for page in (prefix / "share/doc/dwgf").rglob("*.md")
              for link in re.findall(r"\]\((?!https?:|#)([^)#]+\.md)", page.read_text()) if not (page.parent / link).exists()]
    assert not broken, broken


def module_file(prefix):
    version = run(prefix / "bin/dwgf", "--version").split()[1]
    lmod = next(pathlib.Path("/usr/share/lmod").glob("*/libexec/lmod"),
                pathlib.Path("/usr/share/lmod/lmod/libexec/lmod"))
    tried = 0
    for name, command in (("Lmod", [lmod, "bash"]),
                          ("Environment Modules", ["/usr/lib/x86_64-linux-gnu/modulecmd.tcl", "bash"])):
        if not pathlib.Path(command[0]).exists():
            print(f"module file: {name} is not installed, so it was not asked")
            continue
        loaded = subprocess.run([*map(str, command), "load", f"dwgf/{version}"], text=True,
                                stdout=subprocess.PIPE, check=True,
                                env={**BARE, "MODULEPATH": str(prefix / "share/modulefiles"),
                                     "LMOD_SYSTEM_NAME": ""}).stdout
        said = run("bash", "-c", loaded + '\necho "$DWGF_ROOT"; command -v dwgf')
        assert said.split() == [str(prefix), str(prefix / "bin/dwgf")], f"{name}: {said}"
        tried += 1
    return tried


def spack_recipe():
    """Runs the recipe with Spack's words standing in: its options and libraries are those of CMake."""
    said = {"depends_on": [], "variant": [], "version": [], "license": [], "generator": []}
    package = types.ModuleType("spack.package")
    for word, calls in said.items():
        setattr(package, word, lambda *words, calls=calls, **_: calls.append(words[0]))
    package.resource = lambda **_: None
    package.CMakePackage = type("CMakePackage", (), {})
    package.CudaPackage = type("CudaPackage", (), {})
    sys.modules["spack"], sys.modules["spack.package"] = types.ModuleType("spack"), package
    text = (PACKAGING / "spack/packages/dwgf/package.py").read_text()
    ast.parse(text)
    exec(compile(text, "package.py", "exec"), {})
    options = re.findall(r"\b(?:option|find_path)\((\w+)", (SOURCE / "CMakeLists.txt").read_text())
    for option in re.findall(r'"(DWGF_\w+)"', text):
        assert option in options, f"the Spack recipe sets {option}, which CMake does not know"
    names = {word.split("@")[0].split()[0] for word in said["depends_on"]}
    dependencies = (SOURCE / "tools/cmake/DwgfDependencies.cmake").read_text()
    found = re.findall(r"find_package\((\w+)", dependencies)
    modules = re.search(r"foreach\(name_and_module (.*)\)", dependencies)[1].split()
    found += [module.split(":")[1] for module in modules]
    spack_name = {"MPI": "mpi", "HDF5": "hdf5", "Boost": "boost", "nlohmann_json": "nlohmann-json",
                  "OpenSSL": "openssl",
                  "libturbojpeg": "libjpeg-turbo", "spng": "libspng", "libdeflate": "libdeflate",
                  "libutf8proc": "utf8proc", "lcms2": "lcms", "libwebp": "libwebp", "libwebpdemux": "libwebp", "TIFF": "libtiff", "ZLIB": "zlib-api", "PkgConfig": "pkgconfig",
                  "Torch": "py-torch", "GTest": "googletest"}
    assert len(found) > 8
    comes_with_the_compiler = {"OpenMP"}
    for library in set(found) - comes_with_the_compiler:
        assert spack_name.get(library) in names, f"CMake looks for {library}, which the Spack recipe does not depend on"


def apptainer_definition():
    file = PACKAGING / "dwgf.def"
    sections, current = {"header": []}, "header"
    for line in file.read_text().splitlines():
        if line.startswith("%"):
            current = line.split()[0][1:]
            assert current in ("files", "post", "environment", "runscript", "test", "labels",
                               "help"), f"%{current}"
            sections[current] = []
        elif line.strip() and not line.startswith("#"):
            sections[current].append(line.strip())
    assert sections["header"][0].startswith("Bootstrap: ") and sections["header"][1].startswith("From: ")
    for section in ("post", "environment", "runscript", "test"):
        run("bash", "-n", "-c", "\n".join(sections[section]))
    for script in re.findall(r"\btools/\w+", "\n".join(sections["post"])):
        assert (SOURCE / script).exists(), script
    try:
        from spython.main.parse.parsers import SingularityParser
    except ImportError:
        print("Apptainer definition: spython is not installed, so it was not asked")
        return
    recipe = SingularityParser(str(file)).parse()
    assert any(stage.install for stage in (recipe.values() if isinstance(recipe, dict) else [recipe]))


def citation_and_changelog(prefix):
    version = run(prefix / "bin/dwgf", "--version").split()[1]
    cff = (PACKAGING / "CITATION.cff").read_text()
    assert f"\nversion: {version}\n" in cff, "CITATION.cff names another version"
    assert f"\n## {version}" in (PACKAGING / "CHANGELOG.md").read_text(), "CHANGELOG.md has nothing about this version"
    try:
        import yaml
    except ImportError:
        return
    citation = yaml.safe_load(cff)
    assert {"cff-version", "title", "message", "authors", "license", "references"} <= set(citation)


def main():
    build, scratch = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    prefix = scratch / "prefix"
    install(build, prefix)
    program(prefix, scratch / "program")
    selftest(prefix, scratch / "selftest")
    module_file(prefix)
    spack_recipe()
    apptainer_definition()
    citation_and_changelog(prefix)
    needs_c(prefix, scratch / "needs_c")
    example(prefix, scratch / "example")
    shutil.rmtree(scratch)


if __name__ == "__main__":
    main()

"""Cassandra's program files in a cache outside the repository, and commands that run them.

They come from, in this order: the cache; the release's archive, checked against its SHA-256; Maven
Central, each jar checked against `cassandra/jars.sha256`. Every later use checks against the list
`SHA256SUMS` in the cache: it detects damage, but not somebody who may write there.
"""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from artifacts import cache as caches
from artifacts.fetch import ChecksumError, FetchError, fetch, sha256
from tools.root import ROOT
from tools.say import fail, say

VERSION = "5.0.5"
ARCHIVE = f"apache-cassandra-{VERSION}-bin.tar.gz"
ARCHIVE_URL = f"https://archive.apache.org/dist/cassandra/{VERSION}/{ARCHIVE}"
ARCHIVE_SHA256 = "17097f52fe9627a45867efefd8eee42d5fa4c4cbab6e2a92474aa1d370ea0aca"

CONFIGURATION = ROOT / "cassandra"
COPY_JARS = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
SUMS = "SHA256SUMS"
JAVA = 17


def cache() -> Path:
    """Where the program files are kept, whether they are there yet or not."""
    return caches.cache() / f"cassandra-{VERSION}"


def provide_cassandra(url: str = ARCHIVE_URL, checksum: str = ARCHIVE_SHA256) -> Path:
    """The folder of Cassandra's jars, fetched if need be and checked.

    Ends the script with advice if it is not available. A file with another checksum than expected
    always ends it.
    """
    home = cache()
    try:
        if (home / SUMS).exists():
            verify(home / "lib", home / SUMS)
            return home / "lib"
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f"{home.name}-", dir=home.parent) as directory:
            fetched = Path(directory) / "new"
            fetched.mkdir()
            _fill(fetched, url, checksum)
            if not (home / SUMS).exists():  # another process may have been quicker
                shutil.rmtree(home, ignore_errors=True)
                fetched.replace(home)
    except ChecksumError as error:
        fail(f"{error}\n       If it is in the cache, remove {home} and try again.")
    except FetchError as error:
        fail(f"Cassandra {VERSION} could not be fetched:\n       {error}")
    say(f"Cassandra {VERSION} is in {home}")
    return home / "lib"


def _fill(home: Path, url: str, checksum: str) -> None:
    """Put `lib/` and its checksums into `home`."""
    archive = home / ARCHIVE
    say(f"fetching {url}")
    try:
        fetch(url, archive, checksum)
    except ChecksumError:
        raise
    except FetchError as error:
        say(f"not available: {error}")
        _from_maven(home / "lib")
        shutil.copy(CONFIGURATION / "jars.sha256", home / SUMS)
        verify(home / "lib", home / SUMS)
        return
    _unpack(archive, home / "lib")
    archive.unlink()
    jars = sorted((home / "lib").glob("*.jar"))
    (home / SUMS).write_text("".join(f"{sha256(jar)}  {jar.name}\n" for jar in jars))


def _unpack(archive: Path, target: Path) -> None:
    """The archive's jars; nothing else of it is used."""
    target.mkdir()
    with tarfile.open(archive) as contents:
        for member in contents:
            path = Path(member.name)
            if member.isfile() and path.parent.name == "lib" and path.suffix == ".jar":
                file = contents.extractfile(member)
                if file is not None:
                    with file, (target / path.name).open("wb") as jar:
                        shutil.copyfileobj(file, jar)


def _from_maven(target: Path) -> None:
    """The jars from Maven Central, or from Maven's own cache of it. Raises FetchError."""
    if shutil.which("mvn") is None:
        raise FetchError(
            "Maven could fetch it, but is not installed; on Debian: apt-get install maven"
        )
    say(f"fetching cassandra-all {VERSION} and what it needs with Maven (66 MB)")
    command = [
        "mvn",
        "--batch-mode",
        "-Dstyle.color=never",
        "--file",
        str(CONFIGURATION / "pom.xml"),
        COPY_JARS,
    ]
    command += ["-DincludeScope=runtime", f"-DoutputDirectory={target}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as maven:
        lines: list[str] = []
        for line in maven.stdout or ():
            lines.append(line)
            if got := re.search(r"Downloaded .*/(\S+\.jar) \((.*) at", line):
                print(f"    {got[1]}, {got[2]}", file=sys.stderr, flush=True)
    if maven.returncode:
        raise FetchError("Maven said:\n" + "".join(lines[-20:]))


def verify(directory: Path, sums: Path) -> None:
    """Check the files of `directory` against the list `sums`. Raises ChecksumError."""
    lines = [line.split() for line in sums.read_text().splitlines()]
    expected = {name: checksum for checksum, name in lines}
    present = {path.name for path in directory.glob("*")}
    if missing := sorted(expected.keys() - present):
        raise ChecksumError(f"{directory} lacks {', '.join(missing)}")
    if strangers := sorted(present - expected.keys()):
        raise ChecksumError(
            f"{directory} also has {', '.join(strangers)}, which are not in the list"
        )
    for name, checksum in expected.items():
        if (found := sha256(directory / name)) != checksum:
            raise ChecksumError(f"{directory / name}: its SHA-256 is {found}, wanted is {checksum}")


def java() -> str:
    """A JDK 17's `java`: that of JAVA_HOME if it is set, or of PATH. Ends the script without."""
    home = os.environ.get("JAVA_HOME")
    command = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    advice = f"Cassandra {VERSION} runs on Java {JAVA}; on Debian: apt-get install openjdk-17-jre"
    if command is None:
        fail(f"there is no java here. {advice}-headless")
    shown = subprocess.run([command, "-version"], capture_output=True, text=True, check=False)
    version = re.search(r'version "(\d+)', shown.stderr)
    if version is None or int(version[1]) != JAVA:
        found = shown.stderr.strip().partition("\n")[0]
        fail(f"{command} is another one ({found}). {advice}-headless, and set JAVA_HOME")
    return command


def node_command(lib: Path, configuration: Path, options: list[str]) -> list[str]:
    """What runs a node in the foreground; `options` go to the JVM and win over jvm.options."""
    (agent,) = lib.glob("jamm-*.jar")
    (lib.parent / "triggers").mkdir(exist_ok=True)
    return [
        java(),
        f"@{CONFIGURATION / 'jdk17.options'}",
        f"@{CONFIGURATION / 'jvm.options'}",
        f"-javaagent:{agent}",  # measures objects in memory, for the limits of the memtables
        f"-Dcassandra.config={configuration.as_uri()}",
        f"-Dlogback.configurationFile={CONFIGURATION / 'logback.xml'}",
        f"-Dcassandra.triggers_dir={lib.parent / 'triggers'}",  # looked for; there are none
        "-Dcassandra-foreground=yes",
        *options,
        *("-cp", f"{lib}/*", "org.apache.cassandra.service.CassandraDaemon"),
    ]


def nodetool_command(lib: Path, arguments: list[str]) -> list[str]:
    """What runs nodetool."""
    return [
        java(),
        f"@{CONFIGURATION / 'jdk17.options'}",
        *("-Xmx64M", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),  # it ends before more pays
        f"-Dlogback.configurationFile={CONFIGURATION / 'logback-tools.xml'}",
        f"-Duser.home={cache()}",  # it keeps a history of its commands there
        *("-cp", f"{lib}/*", "org.apache.cassandra.tools.NodeTool", *arguments),
    ]

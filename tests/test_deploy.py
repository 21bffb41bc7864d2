"""What is in deploy/: valid, agreeing with the program, and as locked up as it says.

No container engine is needed. The manifests are checked against the schemas of Kubernetes; what the
Dockerfile copies, installs and sets is compared with the tree, and its commands run outside of it.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rag.settings import Settings, load_settings

yaml = pytest.importorskip("yaml")
ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
VERSIONS = ("1.33", "1.37")  # of Kubernetes: fields of none before, and of the newest
UID = 10001
WRITABLE = ("/data", "/tmp", "/opt/footnote/cache/prefixes", "/backups")


# Kubernetes


def manifests() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted((DEPLOY / "kubernetes").rglob("*.yaml")):
        if path.name != "kustomization.yaml":
            for one in yaml.safe_load_all(path.read_text()):
                yield f"{path.relative_to(DEPLOY)}:{one['kind']}", one


MANIFESTS = dict(manifests())
every = pytest.mark.parametrize("manifest", MANIFESTS.values(), ids=MANIFESTS.keys())


def pod_of(manifest: dict[str, Any]) -> dict[str, Any] | None:
    spec = manifest.get("spec", {})
    spec = spec.get("jobTemplate", {}).get("spec", spec)
    found: dict[str, Any] | None = spec.get("template", {}).get("spec")
    return found


PODS = {name: pod for name, one in MANIFESTS.items() if (pod := pod_of(one))}
every_pod = pytest.mark.parametrize("pod", PODS.values(), ids=PODS.keys())


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod.get("initContainers", ()), *pod["containers"]]


@pytest.mark.parametrize("version", VERSIONS)
@every
def test_a_manifest_is_what_kubernetes_takes(manifest: dict[str, Any], version: str) -> None:
    validate = pytest.importorskip("kubernetes_validate")
    validate.validate(manifest, version, strict=True)


def test_a_wrong_manifest_would_be_found() -> None:
    validate = pytest.importorskip("kubernetes_validate")
    wrong = json.loads(json.dumps(MANIFESTS["kubernetes/base/statefulset.yaml:StatefulSet"]))
    pod_of(wrong)["containers"][0]["readinesProbe"] = {}  # type: ignore[index]
    with pytest.raises(validate.ValidationError):
        validate.validate(wrong, VERSIONS[-1], strict=True)


def test_every_manifest_is_part_of_a_kustomization() -> None:
    listed = set()
    for path in (DEPLOY / "kubernetes").rglob("kustomization.yaml"):
        for name in yaml.safe_load(path.read_text())["resources"]:
            assert (path.parent / name).exists(), f"{path}: {name}"
            listed.add((path.parent / name).resolve())
    files = set((DEPLOY / "kubernetes").rglob("*.yaml"))
    files -= {path for path in files if path.name in ("kustomization.yaml", "secret.example.yaml")}
    assert files == {path for path in listed if path.is_file()}


@every_pod
def test_a_pod_has_no_rights_that_it_does_not_need(pod: dict[str, Any]) -> None:
    """The profile 'restricted' of Kubernetes, a read-only root, and no token."""
    context = pod["securityContext"]
    assert context["runAsNonRoot"] is True
    assert context["runAsUser"] == context["runAsGroup"] == context["fsGroup"] == UID
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    # Its variables begin with FOOTNOTE_, as settings do: FOOTNOTE_PORT would be an unknown one.
    assert pod["enableServiceLinks"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert not [one for one in pod["volumes"] if "hostPath" in one]
    for one in containers(pod):
        mine = one["securityContext"]
        assert mine["allowPrivilegeEscalation"] is mine["privileged"] is False
        assert mine["readOnlyRootFilesystem"] is True
        assert mine["capabilities"] == {"drop": ["ALL"]}


@every_pod
def test_a_pod_says_what_it_uses_and_mounts_what_there_is(pod: dict[str, Any]) -> None:
    volumes = {one["name"] for one in pod["volumes"]} | {"data"}
    for one in containers(pod):
        assert one["resources"]["requests"].keys() == one["resources"]["limits"].keys()
        assert {"cpu", "memory", "ephemeral-storage"} <= one["resources"]["limits"].keys()
        assert {mount["name"] for mount in one["volumeMounts"]} <= volumes
        assert one["image"] == "footnote"
        for mount in one["volumeMounts"]:
            assert mount.get("readOnly") or mount["mountPath"] in WRITABLE
        for setting in one.get("env", ()):
            reference = setting.get("valueFrom", {}).get("resourceFieldRef")
            assert reference is None or reference["containerName"] == one["name"]


def test_the_service_is_probed_where_it_answers() -> None:
    served = [one for pod in PODS.values() for one in pod["containers"] if "ports" in one]
    assert len(served) == 2
    for one in served:
        assert one["args"][:5] == ["serve", "--host", "0.0.0.0", "--port", "8000"]
        assert one["ports"] == [{"name": "http", "containerPort": 8000}]
        paths = {
            kind: one[f"{kind}Probe"]["httpGet"]["path"]
            for kind in ("startup", "liveness", "readiness")
        }
        assert paths == {"startup": "/health", "liveness": "/health", "readiness": "/ready"}
        assert {one[f"{kind}Probe"]["httpGet"]["port"] for kind in ("startup", "liveness")} == {
            "http"
        }


def test_selectors_find_pods() -> None:
    labels = []
    for one in MANIFESTS.values():
        spec = one.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        if "template" in spec:
            labels.append(spec["template"]["metadata"]["labels"].items())
            wanted = one["spec"].get("selector", {}).get("matchLabels", {})
            assert wanted.items() <= labels[-1]
    for name, one in MANIFESTS.items():
        spec = one.get("spec", {})
        found = {
            "Service": spec.get("selector"),
            "NetworkPolicy": spec.get("podSelector", {}).get("matchLabels"),
        }
        found["PodDisruptionBudget"] = spec.get("selector", {}).get("matchLabels")
        if one["kind"] in found:
            assert [1 for labelled in labels if found[one["kind"]].items() <= labelled], name


def test_two_pods_never_share_a_database_file() -> None:
    """Only what keeps nothing is scaled, and only where PostgreSQL keeps the collections."""
    base = MANIFESTS["kubernetes/base/statefulset.yaml:StatefulSet"]
    assert base["spec"]["replicas"] == 1
    scaled = [name for name, one in MANIFESTS.items() if one["kind"] == "HorizontalPodAutoscaler"]
    assert scaled == ["kubernetes/postgres/autoscaler.yaml:HorizontalPodAutoscaler"]
    api = MANIFESTS["kubernetes/postgres/api.yaml:Deployment"]
    assert MANIFESTS[scaled[0]]["spec"]["scaleTargetRef"]["name"] == api["metadata"]["name"]
    assert not [one for one in pod_of(api)["volumes"] if "persistentVolumeClaim" in one]  # type: ignore[index]
    for name, pod in PODS.items():
        if "jobs" in name:
            [term] = pod["affinity"]["podAffinity"][
                "requiredDuringSchedulingIgnoredDuringExecution"
            ]
            wanted = term["labelSelector"]["matchLabels"].items()
            assert wanted <= base["spec"]["template"]["metadata"]["labels"].items()


def test_nothing_gets_out_of_the_embedded_default() -> None:
    policy = MANIFESTS["kubernetes/base/networkpolicy.yaml:NetworkPolicy"]["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"] and policy["egress"] == []
    for rule in MANIFESTS["kubernetes/postgres/networkpolicy.yaml:NetworkPolicy"]["spec"]["egress"]:
        assert rule["to"] and rule["ports"]


def test_the_template_of_secrets_holds_none() -> None:
    secret = MANIFESTS["kubernetes/secret.example.yaml:Secret"]
    assert set(secret["stringData"].values()) == {""}
    mounted = {
        item["key"]
        for pod in PODS.values()
        for one in pod["volumes"]
        for item in one.get("secret", {}).get("items", ())
    }
    assert mounted <= secret["stringData"].keys()


# Settings


def names_in(value: Any) -> Iterator[tuple[str, Any]]:
    """Every FOOTNOTE_ name that is set in a manifest, a compose file or a Dockerfile."""
    if isinstance(value, dict):
        for key, one in value.items():
            if str(key).startswith("FOOTNOTE_"):
                yield key, one
            yield from names_in(one)
        if str(value.get("name", "")).startswith("FOOTNOTE_"):
            yield value["name"], value.get("value")
    elif isinstance(value, list):
        for one in value:
            if isinstance(one, str) and (found := re.fullmatch(r"(FOOTNOTE_\w+)=(.*)", one)):
                yield found[1], found[2]
            yield from names_in(one)


def every_setting() -> list[str]:
    documents = [compose(), *MANIFESTS.values()]
    for path in (DEPLOY / "kubernetes").rglob("kustomization.yaml"):
        documents.append(yaml.safe_load(path.read_text()))
    found = [name for one in documents for name, _ in names_in(one)]
    return sorted(set(found) | set(image_environment()) - {"PATH"})


def test_every_setting_is_one() -> None:
    named = [name for name in every_setting() if name.startswith("FOOTNOTE_")]
    assert len(named) > 6
    known = {f"FOOTNOTE_{name.upper()}" for name in {*Settings.model_fields, "store"}}
    assert {name.removesuffix("_FILE") for name in named} <= known


# Compose


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return found


def test_profiles() -> None:
    services = compose()["services"]
    by_default = [name for name, one in services.items() if "profiles" not in one]
    assert by_default == ["footnote"]
    assert services["postgres"]["profiles"] == ["postgres"]
    assert services["vllm"]["profiles"] == ["vllm"]
    for name, wanted in services["footnote"]["depends_on"].items():
        assert wanted == {"condition": "service_healthy", "required": False}
        assert "healthcheck" in services[name]


def test_nothing_is_published_beyond_this_machine() -> None:
    services = compose()["services"]
    published = {name: one["ports"] for name, one in services.items() if "ports" in one}
    assert published == {"footnote": ["${FOOTNOTE_BIND:-127.0.0.1}:${FOOTNOTE_PORT:-8000}:8000"]}
    assert compose()["networks"]["inside"] == {"internal": True}
    for name in ("postgres", "vllm", "index", "backup"):
        assert services[name]["networks"] == ["inside"]


def test_every_container_is_limited_and_locked() -> None:
    found = compose()
    for name, one in found["services"].items():
        limits = one["deploy"]["resources"]["limits"]
        assert limits.keys() == {"cpus", "memory", "pids"}, name
        assert one["cap_drop"] == ["ALL"] and one["security_opt"] == ["no-new-privileges:true"]
        assert one["restart"] in ("unless-stopped", "no")
        assert name == "vllm" or one["read_only"] is True
        assert name == "vllm" or one["user"].split(":")[0] not in ("0", "root")
        assert set(one.get("networks", ())) <= found["networks"].keys()
        assert set(one.get("secrets", ())) <= found["secrets"].keys()
        for volume in one["volumes"]:
            source = volume.rsplit(":", 2 if volume.endswith(":ro") else 1)[0]
            assert source in found["volumes"] or source.startswith("${")
        assert ":" in one["image"], "an image without a version"


def test_secrets_stand_in_files() -> None:
    found = compose()
    for one in found["secrets"].values():
        assert list(one) == ["file"]
        default = re.fullmatch(r"\$\{\w+:-(.*)\}", one["file"])
        assert default and (DEPLOY / default[1]).read_bytes() == b""
    for name, one in found["services"].items():
        for key, value in one.get("environment", {}).items():
            secret = re.search("PASSWORD|KEY|STORE|TOKEN", key)
            assert not secret or (key.endswith("_FILE") and value.startswith("/run/secrets/")), name
    kept = subprocess.run(
        ["git", "check-ignore", "deploy/secrets/store", "deploy/.env"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert kept.stdout.split() == ["deploy/secrets/store", "deploy/.env"]


def test_the_example_has_every_variable_that_compose_asks_for() -> None:
    example = (DEPLOY / "env.example").read_text()
    asked = set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yaml").read_text()))
    assert asked - {"FOOTNOTE_IMAGE"} <= set(re.findall(r"^#?(\w+)=", example, re.M))
    assert not re.search(r"(?i)password=.", example)


# The image


def instructions() -> list[tuple[str, str]]:
    """(Instruction, rest) of every line of the Dockerfile, continued ones joined."""
    text = re.sub(r"^\s*#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.M)
    lines = re.sub(r"\\\n", " ", text).splitlines()
    return [(word, rest.strip()) for word, _, rest in (one.partition(" ") for one in lines) if word]


def stages() -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for word, rest in instructions():
        if word == "FROM":
            name = rest.split(" AS ")[1]
            found[name] = [*found.get(rest.split(" ")[0], ())]
        elif found:
            found[name].append((word, rest))
    return found


def image_environment() -> dict[str, str]:
    """What the default image sets."""
    set_there = " ".join(rest for word, rest in stages()["openvino"] if word == "ENV")
    return dict(one.split("=", 1) for one in set_there.split())


def test_what_is_copied_is_there_and_not_ignored() -> None:
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    let_in = {line[1:] for line in ignored if line.startswith("!")}
    assert "*" in ignored
    copied = set()
    for word, rest in instructions():
        if word == "COPY" and not rest.startswith("--from"):
            copied |= set(rest.split()[:-1])
    assert all((ROOT / one).exists() for one in copied)
    assert copied == let_in
    names = set(stages())
    for _, rest in (one for one in instructions() if one[1].startswith("--from")):
        assert rest.split()[0].removeprefix("--from=") in names


def test_the_last_stage_is_small_and_nobodys_root() -> None:
    last = list(stages())[-1]
    assert last == "openvino"
    lines = stages()[last]
    assert [rest for word, rest in lines if word == "USER"] == [f"{UID}:{UID}"]
    assert [rest for word, rest in stages()["torch"] if word == "USER"] == [f"{UID}:{UID}"]
    copied = [rest.split()[0] for word, rest in lines if word == "COPY"]
    assert copied == [f"--from={one}" for one in ("weights", "weights", "program", "packages")]
    assert "convert" not in str(stages()["packages"][-1]), "torch would be in the image"
    run = " ".join(rest for word, rest in lines if word == "RUN")
    assert "apt-get" not in run and "pip uninstall" in run
    check = next(rest for word, rest in lines if word == "HEALTHCHECK")
    assert "/health" in check and "8000" in check


def test_weights_are_checked_and_converted_while_the_image_is_built() -> None:
    run = [rest for word, rest in stages()["weights"] if word == "RUN"]
    assert " prepare " in run[-1] and "--date=@0" in run[-1]
    assert all("--constraint constraints.txt" in one for one in run if "--requirement" in one)


def layer(name: str) -> list[str]:
    command = [sys.executable, DEPLOY / "requirements.py", name]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.split("\n")[:-1]


def test_the_layers_hold_every_dependency_once() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    assert layer("weights") == extras["models"]
    wanted = {*project["dependencies"]}
    for extra in ("openvino", "ui", "server", "postgres"):
        wanted |= set(extras[extra])
    assert {*layer("run"), *layer("convert")} - wanted == {"safetensors"}
    assert wanted <= {*layer("run"), *layer("convert")}
    assert not set(layer("run")) & set(layer("convert"))
    assert not [
        one for one in layer("run") if one.startswith(("torch", "transformers", "sentence-"))
    ]


def test_every_package_of_the_image_has_a_pinned_version() -> None:
    """Of all that the layers bring, with what that brings in turn."""
    requirements = pytest.importorskip("packaging.requirements")
    pinned = {
        re.sub("[-_.]+", "-", line.split("==")[0]).lower()
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    todo = [requirements.Requirement(one) for one in [*layer("run"), *layer("convert")]]
    seen: set[tuple[str, frozenset[str]]] = set()
    while todo:
        one = todo.pop()
        name = re.sub("[-_.]+", "-", one.name).lower()
        key = (name, frozenset(one.extras))
        if key in seen:
            continue
        seen.add(key)
        assert name in pinned or name == "setuptools", f"{name} is not in constraints.txt"
        for text in importlib.metadata.requires(name) or ():
            wanted = requirements.Requirement(text)
            extras = [*one.extras, ""]
            if wanted.marker is None or any(wanted.marker.evaluate({"extra": e}) for e in extras):
                todo.append(wanted)
    heavy = {"torch", "transformers", "scipy", "scikit-learn"}
    assert heavy <= {name for name, _ in seen}
    assert len(seen) > 80


@pytest.mark.slow
def test_the_packages_resolve_to_what_is_constrained(tmp_path: Path) -> None:
    wanted = tmp_path / "run.txt"
    wanted.write_text("\n".join(layer("run")))
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-index", "--quiet"]
    done = subprocess.run(
        [*command, "-c", ROOT / "constraints.txt", "-r", wanted],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


# The command, with the image's variables


@pytest.fixture
def contained(tmp_path: Path) -> dict[str, str]:
    """The environment of the container, its folders somewhere else."""
    folders = {"/data": "data", "/tmp": "tmp", "/opt/footnote/cache": "cache"}
    made = {one: tmp_path / name for one, name in folders.items()}
    for path in made.values():
        path.mkdir()
    places = re.compile(rf"^({'|'.join(made)})(?=/|$)")
    found = {
        name: places.sub(lambda at: str(made[at[1]]), value)
        for name, value in image_environment().items()
    }
    found["PATH"] = "/usr/bin:/bin"
    found["PYTHONPATH"] = str(ROOT)
    return found


def footnote(
    environment: dict[str, str], *words: str, **more: Any
) -> subprocess.CompletedProcess[str]:
    program = (
        "import ui.cli, ui.people_cli as p, rag.cli as c; c.app.add_typer(p.app, name='users');"
    )
    serve = "c.app.command('serve')(getattr(ui.cli, 'serve', ui.cli.chat)); c.main()"
    return subprocess.run(
        [sys.executable, "-c", program + serve, *words],
        env=environment,
        cwd=environment["FOOTNOTE_INDEXES"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        **more,
    )


def test_the_images_settings_are_taken(
    contained: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in [name for name in os.environ if name.startswith("FOOTNOTE_")]:
        monkeypatch.delenv(name)
    for name, value in contained.items():
        if name.startswith("FOOTNOTE_"):
            monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    found = load_settings()
    assert found.indexes == tmp_path / "data" and found.chat_folder == tmp_path / "data" / ".chat"
    assert (found.cache, found.runtime) == (tmp_path / "cache", "openvino")


def test_the_first_start_refuses_until_there_is_a_user(contained: dict[str, str]) -> None:
    command = next(rest for word, rest in stages()["openvino"] if word == "CMD")
    words = json.loads(command)
    assert words[0] == "serve"
    done = footnote(contained, *words)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert "footnote users add" in done.stderr
    # What the init container of Kubernetes runs:
    assert footnote(contained, "users", "list", "--json").stdout.strip() == "[]"
    added = footnote(
        contained,
        "users",
        "add",
        "admin",
        "--role",
        "admin",
        "--password-stdin",
        input="a long password\n",
    )
    assert added.returncode == 0, added.stderr
    assert footnote(contained, "users", "list", "--json").stdout.strip() != "[]"
    done = footnote(contained, *words)
    assert "no collection" in done.stderr  # so it asks for what the job 'index' makes


def test_the_health_check_works(contained: dict[str, str]) -> None:
    """The command of HEALTHCHECK against nothing, an unwell and a well service."""
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    line = next(rest for word, rest in stages()["openvino"] if word == "HEALTHCHECK")
    [python, flag, program] = json.loads(line.partition("CMD ")[2])
    assert (python, flag) == ("python", "-c")
    answers = iter([503, 200])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(next(answers) if self.path == "/health" else 404)
            self.end_headers()

        def log_message(self, *words: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        program = program.replace("8000", str(server.server_port))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        codes = [subprocess.run([sys.executable, "-c", program]).returncode for _ in range(2)]
        server.shutdown()
    dead = subprocess.run([sys.executable, "-c", program], capture_output=True)
    assert codes == [1, 0] and dead.returncode == 1


@pytest.mark.slow
def test_the_program_installs_where_the_image_has_it(tmp_path: Path) -> None:
    """As the stage 'program' does it, but for the network: the command finds its parts there."""
    source, target = tmp_path / "src", tmp_path / "program"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("rag", "ui", "eval"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    done = subprocess.run(
        [*command, "--no-build-isolation", "--target", target, source],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": str(target)}
    said = subprocess.run(
        [target / "bin" / "footnote", "--help"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    for name in ("index", "ask", "backup", "restore", "upgrade", "chat", "users"):
        assert re.search(rf"\b{name}\b", said.stdout), name

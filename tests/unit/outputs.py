"""Outputs of any size, made of one that was converted."""

import copy
import json
import os
import uuid

from coverslip.report.collect import CERTIFICATE


def certificate_of(out):
    (path,) = out.glob(f"*/*{CERTIFICATE}")
    return path, json.loads(path.read_text())


def multiply(out, target, count):
    """Write an output of so many slides, each with the files of the one in ``out``."""
    path, certificate = certificate_of(out)
    for number in range(count):
        changed = copy.deepcopy(certificate)
        study, series = (
            f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, f'{n} {number}').int}" for n in "ab"
        )
        changed["study_instance_uid"], changed["series_instance_uids"] = study, [series]
        changed["slide_pseudonym"] = f"C-{number:013}"
        folder = target / study / series
        folder.mkdir(parents=True)
        for instance in changed["instances"]:
            (source,) = path.parent.glob(f"*/{instance['sop_instance_uid']}.dcm")
            os.link(source, folder / source.name)
        write(target / study / f"{changed['slide_pseudonym']}{CERTIFICATE}", changed)


def write(path, document):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))

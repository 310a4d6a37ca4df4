"""Releases with text lists: OxfordPets, FGVCAircraft, SUN397, UCF101."""

from . import OFFICIAL, TRAINVAL, Replica, touch


def write_lines(path, lines, end="\n"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((end.join(lines) + end).encode())


def oxford_pets(root):
    folder, breeds = root / "oxford_pets", ["Abyssinian", "american_bulldog", "Egyptian_Mau"]
    replica = Replica(TRAINVAL, ["abyssinian", "american_bulldog", "egyptian_mau"])
    for part, name, numbers in (("train", "trainval", range(1, 11)), ("test", "test", range(11, 16))):
        lines = []
        for label, breed in enumerate(breeds):
            for i in numbers:
                replica.rows.append((f"{breed}_{i}.jpg", label, part))
                lines.append(f"{breed}_{i} {label + 1} 1 1")
        write_lines(folder / "annotations" / f"{name}.txt", lines)
    for image, _, _ in replica.rows:
        touch(folder / "images" / image)
    touch(folder / "images" / "Abyssinian_100.mat")
    return replica


def aircraft(root):
    folder, names = root / "fgvc_aircraft", ["707-320", "A300B4", "Cessna 172", "F/A-18"]
    replica = Replica(OFFICIAL, names)
    write_lines(folder / "variants.txt", names)
    for offset, part in enumerate(("train", "val", "test")):
        rows = [(f"{1000000 + 100 * label + 10 * offset + i:07d}", label) for i in range(6) for label in range(4)]
        write_lines(folder / f"images_variant_{part}.txt", [f"{image} {names[label]}" for image, label in rows])
        replica.rows += [(f"{image}.jpg", label, part) for image, label in rows]
    for image, _, _ in replica.rows:
        touch(folder / "images" / image)
    return replica


def sun397(root):
    folder = root / "sun397"
    scenes = ["/a/abbey", "/a/apartment_building/outdoor", "/b/bakery/shop", "/y/youth_hostel"]
    replica = Replica(TRAINVAL, ["abbey", "outdoor apartment_building", "shop bakery", "youth_hostel"])
    write_lines(folder / "ClassName.txt", scenes)
    for part, name in (("train", "Training"), ("test", "Testing")):
        lines = [f"{scene}/sun_{part}{i:06d}.jpg" for scene in scenes for i in range(10)]
        write_lines(folder / f"{name}_01.txt", lines, end="\r\n")
        replica.rows += [(line[1:], i // 10, part) for i, line in enumerate(lines)]
    write_lines(folder / "Training_02.txt", ["/a/abbey/sun_of_another_partition.jpg"])
    for image, _, _ in replica.rows:
        touch(folder / "SUN397" / image)
    return replica


def ucf101(root):
    folder = root / "ucf101"
    actions = ["ApplyEyeMakeup", "HandstandPushups", "TaiChi", "YoYo"]
    replica = Replica(TRAINVAL, ["Apply_Eye_Makeup", "Handstand_Pushups", "Tai_Chi", "Yo_Yo"])
    write_lines(folder / "ucfTrainTestlist" / "classInd.txt", [f"{i} {a}" for i, a in enumerate(actions, 1)], "\r\n")
    for part, groups in (("train", range(8, 18)), ("test", range(1, 8))):
        lines = []
        for label, action in enumerate(actions):
            for g in groups:
                video = f"v_{action.replace('stand', 'Stand')}_g{g:02d}_c01"  # as in the release
                lines.append(f"{action}/{video}.avi" + (f" {label + 1}" if part == "train" else ""))
                replica.rows.append((f"{replica.classnames[label]}/{video}.jpg", label, part))
        write_lines(folder / "ucfTrainTestlist" / f"{part}list01.txt", lines)
    for image, _, _ in replica.rows:
        touch(folder / "UCF-101-midframes" / image)
    return replica


REPLICAS = {"OxfordPets": oxford_pets, "FGVCAircraft": aircraft, "SUN397": sun397, "UCF101": ucf101}

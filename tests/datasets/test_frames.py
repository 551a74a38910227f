"""Frames of videos and folders."""

import socket

import cv2
import numpy as np
import pytest

from datasets.frames import read_frames
from datasets.images import write_picture
from utils.errors import InputError


def levels(count):
    return [np.full([48, 64, 3], (20 * i, 100, 255 - 20 * i), np.uint8) for i in range(count)]


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "a clip %03d.avi"  # a name that OpenCV could take for a pattern
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, (64, 48))
    for frame in levels(5):
        writer.write(frame[..., ::-1])
    writer.release()
    return path


def test_a_videos_frames_come_in_order_and_as_rgb(clip):
    found = list(read_frames(clip))
    assert len(found) == 5
    for frame, written in zip(found, levels(5), strict=True):
        assert frame.shape == written.shape and np.abs(frame.astype(int) - written).max() < 12


def test_a_folders_frames_come_in_the_order_of_their_numbers(tmp_path):
    for i, frame in enumerate(levels(12)):
        write_picture(tmp_path / f"frame{i}.png", frame)
    assert [int(frame[0, 0, 0]) for frame in read_frames(tmp_path)] == [20 * i for i in range(12)]


def test_frames_of_another_size_are_named(tmp_path):
    for i, frame in enumerate(levels(3)):
        write_picture(tmp_path / f"{i}.png", frame if i < 2 else frame[:40])
    with pytest.raises(InputError, match="expected frames of one size, 64x48, got 64x40 in frame 2"):
        list(read_frames(tmp_path))


def test_what_is_no_video_is_told_in_one_line_and_opencv_says_nothing(tmp_path, capfd):
    (tmp_path / "a.mp4").write_bytes(b"\x00\x00\x00\x18ftypmp42 and no more")
    for name in ("a.mp4", "b.mp4"):
        with pytest.raises(InputError, match="expected a video") as caught:
            list(read_frames(tmp_path / name))
        assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_list_of_addresses_is_not_followed(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/a.ts"
        (tmp_path / "a.m3u8").write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{address}\n#EXT-X-ENDLIST\n")
        with pytest.raises(InputError, match="expected a video"):
            list(read_frames(tmp_path / "a.m3u8"))
        with pytest.raises(TimeoutError):
            server.accept()

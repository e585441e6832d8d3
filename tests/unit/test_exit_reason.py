"""What is kept of a browser's output when it has ended."""

from __future__ import annotations

from webgpu_widget.link.transports._exit_reason import exit_reason

AT = "[20034:20059:1129/173718.716396:"
FATAL = "FATAL:third_party/skia/src/ports/SkFontMgr_FontConfigInterface.cpp:163] Not implemented."


def _console(text: str) -> str:
    return f'{AT}INFO:CONSOLE:1] "{text}", source: http://127.0.0.1:1/page.js (1)'


def test_a_fatal_line_stays_whatever_the_page_and_the_crash_reporter_say_after_it() -> None:
    lines = [
        "/usr/bin/chromium: 9: [: 25276510208: unexpected operator",
        f"{AT}ERROR:dbus/bus.cc:405] Failed to connect to the bus: no such file",
        f"{AT}WARNING:ui/base/idle/idle_linux.cc:111] None of the known D-Bus ScreenSaver services could be used.",
        *(f"{AT}ERROR:ui/gfx/platform_font_skia.cc:258] Could not find any font: {i}" for i in range(200)),
        AT + FATAL,
        "[1129/173718.782061:ERROR:third_party/crashpad/crashpad/util/file/file_io_posix.cc:145] open /sys/devices: no",
        *(_console(f"line {i}") for i in range(50)),
        _console("two\nlines"),
        "Aborted",
    ]
    said = exit_reason("\n".join(lines))
    assert said.startswith(FATAL)
    parts = said[: said.index(". It ends so")].split(" / ")
    assert parts == [FATAL, "ERROR:ui/gfx/platform_font_skia.cc:258] Could not find any font: 199", "Aborted"]
    assert "no font" in said
    assert "apt-get install fonts-dejavu-core" in said


def test_other_ends_get_no_advice_on_fonts() -> None:
    old = "[0101/000000.000000:FATAL:zygote_host_impl_linux.cc(117)] No usable sandbox!"
    assert exit_reason(old) == "FATAL:zygote_host_impl_linux.cc(117)] No usable sandbox!"
    missing = "chrome: error while loading shared libraries: libnss3.so: cannot open shared object file"
    assert exit_reason(f"{missing}\n\n") == missing


def test_nothing_that_tells_is_nothing() -> None:
    assert exit_reason("") == "nothing"
    assert exit_reason(_console("hello")) == "nothing"


def test_the_last_lines_of_each_kind_are_kept_and_long_ones_cut() -> None:
    errors = [f"{AT}ERROR:a.cc:{i}] error {i}" for i in range(9)]
    said = exit_reason("\n".join([*errors, *(f"plain {i}" for i in range(9)), "x" * 5000]))
    assert said.split(" / ")[:-1] == [*(f"ERROR:a.cc:{i}] error {i}" for i in (6, 7, 8)), "plain 7", "plain 8"]
    assert said.endswith("x…")
    assert len(said) < 600

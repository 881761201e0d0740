"""The report as a reader uses it: in Chromium, by mouse and keyboard, on a desk and on a phone.

Skipped where there are no `chromium` and `chromedriver` (Debian: apt install chromium chromium-driver).
"""

import shutil

import numpy as np
import pytest

from xview_localizer.aerial.source import AerialImage
from xview_localizer.evaluation.report import write_report
from xview_localizer.geometry.grid import RasterGrid

selenium = pytest.importorskip("selenium")
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (BROWSER and DRIVER), reason="needs chromium and chromedriver")


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in ("headless=new", "no-sandbox", "disable-gpu", "window-size=1200,900"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    yield browser
    browser.quit()


@pytest.fixture
def page(tmp_path, drive):
    rng = np.random.default_rng(0)
    aerial = AerialImage(
        rng.integers(0, 255, (120, 100, 3)).astype(np.uint8),
        np.ones((120, 100), bool),
        RasterGrid.centred(0.0, 20.0, 1.0, 120, 100),
    )
    images = [None, *(np.full((60, 120, 3), 50 * number, np.uint8) for number in range(1, 5))]
    write_report(tmp_path, drive, aerial, images, {"drive": "drive1"})
    return (tmp_path / "report.html").as_uri()


def shown(browser, name):
    return browser.find_element(By.ID, name).text


def press(browser, key):
    browser.find_element(By.TAG_NAME, "body").send_keys(key)


def test_opens_without_errors_and_without_a_network(browser, page):
    browser.get(page)
    assert shown(browser, "place") == "image 1 of 5, 0.0 s"
    assert shown(browser, "verdict") == "rejected"
    assert shown(browser, "reason") == "confidence 0.31 is below 0.80"
    assert not browser.find_element(By.ID, "picture").is_displayed()  # this one has none
    loaded = browser.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
    assert all(name.startswith("data:") for name in loaded)
    assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def test_keyboard_goes_through_the_images(browser, page):
    browser.get(page)
    press(browser, Keys.ARROW_RIGHT)
    assert shown(browser, "place").startswith("image 2 of 5") and shown(browser, "verdict") == "accepted"
    picture = browser.find_element(By.ID, "picture")
    assert picture.is_displayed() and picture.get_property("naturalWidth") == 120
    assert "error 1.00 m" in shown(browser, "facts")
    press(browser, "r")  # to the next rejected one, which found no pose
    assert (
        shown(browser, "place").startswith("image 3")
        and shown(browser, "reason") == "image is blank (no contrast)"
    )
    press(browser, Keys.END)
    press(browser, Keys.ARROW_RIGHT)  # there is no further one
    assert shown(browser, "place").startswith("image 5")
    assert "rival 35 %, 12.0 m away" in shown(browser, "facts")
    press(browser, "r")  # round to the first
    assert shown(browser, "place").startswith("image 1")


def test_dots_on_the_map_open_their_image(browser, page):
    browser.get(page + "#image=2")
    assert shown(browser, "place").startswith("image 2")
    dots = browser.find_elements(By.CSS_SELECTOR, "#map path.leaflet-interactive")
    assert len(dots) == 5
    centre = [(dot.rect["x"] + dot.rect["width"] / 2, dot.rect["y"] + dot.rect["height"] / 2) for dot in dots]
    by_height = sorted(range(5), key=lambda index: -centre[index][1])
    webdriver.ActionChains(browser).move_to_element(dots[by_height[3]]).click().perform()
    assert shown(browser, "place").startswith("image 4")  # they go northwards
    assert browser.execute_script("return location.hash") == "#image=4"


def test_map_pans_and_zooms(browser, page):
    browser.get(page)
    layer = "return document.querySelector('.leaflet-image-layer').getBoundingClientRect()"
    before, area = browser.execute_script(layer), browser.find_element(By.ID, "map")
    drag = webdriver.ActionChains(browser).move_to_element_with_offset(area, -150, 150)
    drag.click_and_hold().move_by_offset(80, 0).release().perform()
    wait = WebDriverWait(browser, 30)
    wait.until(lambda b: b.execute_script(layer)["left"] >= before["left"] + 60)
    press(browser, "+")
    wait.until(lambda b: b.execute_script(layer)["width"] > 1.5 * before["width"])


def test_readable_on_a_phone(browser, page):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True},
    )
    try:
        browser.get(page)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
        map_area, steps = (
            browser.find_element(By.ID, "map").rect,
            browser.find_element(By.CLASS_NAME, "steps").rect,
        )
        assert map_area["width"] > 340 and map_area["height"] < 844 * 0.6
        layers = browser.find_element(By.CLASS_NAME, "leaflet-control-layers").rect
        assert layers["width"] < map_area["width"] / 5  # it does not cover the drive
        label = "return getComputedStyle(document.querySelector('.leaflet-control-layers-toggle'), '::before').content"
        assert browser.execute_script(label) == '"layers"'
        notes = browser.find_elements(By.CSS_SELECTOR, ".figures td.quiet")
        assert max(note.rect["width"] for note in notes) > 340  # below the figure, not in a narrow column
        assert steps["y"] >= map_area["y"] + map_area["height"]  # below, not beside
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})

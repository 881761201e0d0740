"use strict";
// The map of a drive: trajectories over the aerial image, one dot for each camera image, one of them open.
(() => {
  const drive = JSON.parse(document.getElementById("drive").textContent);
  const images = drive.images;
  if (!images.length) return;
  const COLOURS = drive.colours;
  const ARROW_M = 4;
  const byId = (id) => document.getElementById(id);
  const at = (pose) => [pose[1], pose[0]]; // Leaflet takes (north, east)

  const map = L.map("map", {
    crs: L.CRS.Simple, minZoom: -3, maxZoom: 6, zoomSnap: 0.25, keyboard: false, attributionControl: false,
  });
  L.imageOverlay(drive.aerial.url, drive.aerial.bounds, { opacity: 0.85 }).addTo(map);
  L.control.scale({ imperial: false }).addTo(map);

  function line(key, colour, options) {
    const points = images.map((image) => image[key]).filter(Boolean).map(at);
    return L.polyline(points, { color: colour, weight: 2, interactive: false, ...options }).addTo(map);
  }
  const layers = {
    "truth": L.layerGroup([line("truth", "#fff", { weight: 6 }), line("truth", COLOURS.truth)]).addTo(map),
    "GNSS": line("gnss", COLOURS.gnss),
    "published trajectory": line("estimate", COLOURS.ours, { weight: 3 }),
  };

  // A dot lies where the pose was found, and where none was found at the truth.
  const dots = images.map((image, index) => {
    const dot = L.circleMarker(at(image.pose || image.truth), {
      radius: 6, weight: 1.5, color: "#fff", fillOpacity: 1,
      fillColor: image.accepted ? COLOURS.ours : image.pose ? COLOURS.rejected : COLOURS.no_pose,
    });
    return dot.on("click", () => open(index));
  });
  layers["images"] = L.layerGroup(dots).addTo(map);
  // As in the page's style, narrow screens have no room for what can be opened by a tap.
  L.control.layers(null, layers, { collapsed: matchMedia("(max-width: 760px)").matches }).addTo(map);

  function ellipse(pose, [major, minor, angle_deg]) {
    const angle = angle_deg * Math.PI / 180;
    return Array.from({ length: 48 }, (_, step) => {
      const turn = step / 48 * 2 * Math.PI;
      const [along, across] = [major * Math.cos(turn), minor * Math.sin(turn)];
      return [
        pose[1] + along * Math.sin(angle) + across * Math.cos(angle),
        pose[0] + along * Math.cos(angle) - across * Math.sin(angle),
      ];
    });
  }
  function arrow(pose, colour) {
    const yaw = pose[2] * Math.PI / 180;
    const point = (ahead, left) => [
      pose[1] + ahead * Math.sin(yaw) + left * Math.cos(yaw), pose[0] + ahead * Math.cos(yaw) - left * Math.sin(yaw),
    ];
    const head = [point(ARROW_M, 0), point(ARROW_M - 1.3, 0.8), point(ARROW_M, 0), point(ARROW_M - 1.3, -0.8)];
    const shape = [point(0, 0), ...head];
    return [["#fff", 6], [colour, 3]].map(([color, weight]) => L.polyline(shape, { color, weight, interactive: false }));
  }

  const opened = L.layerGroup().addTo(map);
  let current = -1;

  function open(index) {
    if (index < 0 || index >= images.length) return;
    if (current >= 0) dots[current].setRadius(6).setStyle({ weight: 1.5 });
    current = index;
    const image = images[index];
    const colour = image.accepted ? COLOURS.ours : COLOURS.rejected;
    dots[index].setRadius(9).setStyle({ weight: 3 }).bringToFront();
    opened.clearLayers();
    if (image.prior && image.prior[2] !== null) {
      opened.addLayer(L.circle(at(image.prior), { radius: image.prior[2], color: COLOURS.prior, weight: 1.5, fill: false, interactive: false }));
    }
    image.rivals.forEach((rival) => arrow(rival, COLOURS.rival).forEach((shape) => opened.addLayer(shape)));
    arrow(image.truth, COLOURS.truth).forEach((shape) => opened.addLayer(shape));
    if (image.pose) {
      opened.addLayer(L.polygon(ellipse(image.pose, image.ellipse), { color: colour, weight: 1.5, fillOpacity: 0.15, interactive: false }));
      arrow(image.pose, colour).forEach((shape) => opened.addLayer(shape));
    }
    if (!map.getBounds().pad(-0.1).contains(at(image.pose || image.truth))) map.panTo(at(image.pose || image.truth));
    describe(image, index);
    history.replaceState(null, "", `#image=${index + 1}`);
  }

  function describe(image, index) {
    const number = (value, unit, digits) => value === null ? "–" : value.toFixed(digits) + unit;
    byId("place").textContent = `image ${index + 1} of ${images.length}, ${number(image.elapsed_sec, " s", 1)}`;
    byId("verdict").textContent = image.accepted ? "accepted" : "rejected";
    byId("verdict").className = image.accepted ? "accepted" : "rejected";
    byId("reason").textContent = image.reason;
    byId("facts").textContent = [
      `error ${number(image.error_m, " m", 2)}`, `yaw error ${number(image.yaw_error_deg, "°", 1)}`,
      `confidence ${number(image.confidence, "", 2)}`, `keyframes ${image.keyframes}`,
      ...image.rivals.map((rival) => `rival ${(100 * rival[3]).toFixed(0)} %, ${distance(image, rival)}`), number(image.latency_ms, " ms", 0),
    ].join(" · ");
    const picture = byId("picture");
    picture.hidden = !image.picture;
    if (image.picture) picture.src = image.picture;
    byId("slider").value = index;
  }

  function distance(image, rival) {
    return image.pose ? `${Math.hypot(rival[0] - image.pose[0], rival[1] - image.pose[1]).toFixed(1)} m away` : "";
  }

  const nextRejected = () => {
    const later = images.findIndex((image, index) => index > current && !image.accepted);
    open(later >= 0 ? later : images.findIndex((image) => !image.accepted));
  };
  const KEYS = {
    ArrowRight: () => open(current + 1), ArrowLeft: () => open(current - 1), Home: () => open(0),
    End: () => open(images.length - 1), r: nextRejected, "+": () => map.zoomIn(), "-": () => map.zoomOut(),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in KEYS)) return;
    event.preventDefault();
    KEYS[event.key]();
  });
  const slider = byId("slider");
  slider.max = images.length - 1;
  slider.addEventListener("input", () => open(Number(slider.value)));
  byId("previous").addEventListener("click", () => open(current - 1));
  byId("next").addEventListener("click", () => open(current + 1));
  byId("rejected").addEventListener("click", nextRejected);
  byId("rejected").hidden = images.every((image) => image.accepted);

  map.fitBounds(L.latLngBounds(images.flatMap((image) => [at(image.truth), at(image.gnss)])).pad(0.1));
  const wanted = Number((/#image=(\d+)/.exec(location.hash) || [])[1] || 1);
  open(Math.min(Math.max(wanted, 1), images.length) - 1);
})();

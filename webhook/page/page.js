// The live page: asks for events/minutes once a second, for allocations every other time, and draws
// them. Every address is relative: a proxy may serve the page below a path of its own.

const POLL_MS = 1000;
const TIMEOUT_MS = 3000;
const SHORTEST_PAUSE_MS = 500; // after a slow answer
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 5000;
const ALLOCATIONS_EVERY = 2; // answers of the other kind
const KEPT_MS = 5000; // a list of allocations that Consul does not renew
const SPEAK_MS = 60_000; // a screen reader hears the number this often

const byId = (id) => document.getElementById(id);
const root = document.documentElement;
const plot = byId("plot");
const bars = byId("bars"); // <li><button> each, oldest first
const detail = byId("detail");
const table = byId("allocations");

// ---- Words and numbers: the reader's own digits and time zone, English words.

const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium", hourCycle: "h23" });
const clockMinute = new Intl.DateTimeFormat(undefined, { timeStyle: "short", hourCycle: "h23" });

const formatRate = (rate) => (rate < 100 ? tenths : whole).format(rate);
const events = (count) => `${whole.format(count)} ${count === 1 ? "event" : "events"}`;

/** The largest unit that divides a length of time: 1800 -> [30, "minute", "min"]. */
function inUnits(seconds) {
  if (seconds % 3600 === 0) return [seconds / 3600, "hour", "h"];
  if (seconds % 60 === 0) return [seconds / 60, "minute", "min"];
  return [seconds, "second", "s"];
}

function windowName(seconds) {
  const [amount, unit] = inUnits(seconds);
  return amount === 1 ? `in the last ${unit}` : `in the last ${whole.format(amount)} ${unit}s`;
}

function windowStart(seconds) {
  const [amount, , unit] = inUnits(seconds);
  return `−${whole.format(amount)} ${unit}`;
}

/** "12:04–12:05", with seconds when the minute is not one of the clock's. */
function span({ from, to }) {
  const ends = [new Date(from), new Date(to)];
  const format = ends.every((end) => end.getUTCSeconds() === 0) ? clockMinute : clock;
  return ends.map((end) => format.format(end)).join("–");
}

// ---- The figures.

let answer = null; // what the page shows now
let spokenAt = -Infinity;

function showAnswer() {
  const { count, window_seconds: seconds, events_per_second: rate, minutes } = answer;
  const number = whole.format(count);
  const name = windowName(seconds);

  showNumber("count", number);
  byId("window").textContent = `${count === 1 ? "event" : "events"} ${name}`;
  showNumber("rate", formatRate(rate));
  byId("chart-name").textContent = seconds < 60 ? "Events" : "Events per minute";
  byId("oldest").textContent = windowStart(seconds);
  byId("newest").textContent = "now";
  document.title = `${events(count)} ${name} · Teracompra`;

  showBars(minutes);
  speak(`${events(count)} ${name}, ${formatRate(rate)} per second now`);
}

function showBars(minutes) {
  while (bars.children.length > minutes.length) bars.lastChild.remove();
  while (bars.children.length < minutes.length) bars.append(newBar());

  const max = Math.max(0, ...minutes.map((minute) => minute.count));
  byId("max").textContent = whole.format(max);
  minutes.forEach((minute, index) => {
    const item = bars.children[index];
    const seconds = (new Date(minute.to) - new Date(minute.from)) / 1000;
    item.style.setProperty("--seconds", seconds);
    item.style.setProperty("--share", max ? minute.count / max : 0);
    item.firstChild.setAttribute("aria-label", `${span(minute)}: ${events(minute.count)}`);
  });
  if (!bars.querySelector("[tabindex='0']")) bars.lastChild?.firstChild.setAttribute("tabindex", 0);
  showDetail();
}

function newBar() {
  const item = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  button.tabIndex = -1; // Tab enters the chart once; the arrow keys walk along it
  item.append(button);
  return item;
}

function showAllocations(allocations, wanted) {
  byId("wanted").hidden = wanted === null;
  byId("wanted").textContent =
    wanted === null ? "" : `${whole.format(wanted)} wanted, ${whole.format(allocations.length)} running`;
  table.tBodies[0].replaceChildren(...allocations.map(newRow));
  table.hidden = allocations.length === 0;
  fitTable();
}

function newWord(text) {
  const word = document.createElement("span");
  word.className = "word";
  word.textContent = text;
  return word;
}

function newRow({ id, node, address, events_per_second: rate, this: answers }) {
  const row = document.createElement("tr");
  const name = document.createElement("th");
  name.scope = "row";
  name.append(newWord(id));
  if (answers) {
    const mark = document.createElement("span");
    mark.className = "mark";
    mark.textContent = "this one";
    name.append(" ", mark);
  }
  row.append(name);
  row.insertCell().append(newWord(node));
  const port = address.lastIndexOf(":") + 1;
  const mayBreak = document.createElement("wbr");
  row.insertCell().append(newWord(address.slice(0, port)), mayBreak, newWord(address.slice(port)));
  row.insertCell().append(rate === null ? "–" : formatRate(rate));
  return row;
}

function speak(sentence) {
  if (performance.now() - spokenAt < SPEAK_MS) return;
  spokenAt = performance.now();
  byId("spoken").textContent = sentence;
}

function showStatus(state, text) {
  root.dataset.state = state;
  // Written only when it changes: each write is read aloud.
  if (byId("status").textContent !== text) byId("status").textContent = text;
}

// ---- What has to fit is measured: nobody knows which font the reader has.

const digits = Array.from({ length: 10 }, (_, digit) => whole.format(digit));
const shortest = whole.format(100_000); // a number with fewer digits is not shown larger

/** Shows a number; its ruler gets all that look alike, so that its size stays while it counts. */
function showNumber(id, number) {
  const like = number.length < shortest.length ? shortest : number;
  byId(id).textContent = number;
  byId(id).nextElementSibling.textContent = digits
    .map((digit) => like.replace(/\p{Nd}/gu, digit))
    .join("\n");
}

/** Tells a number's element how wide the widest on its ruler is, in ems. */
function measure(ruler) {
  const em = parseFloat(getComputedStyle(ruler).fontSize);
  ruler.previousElementSibling.style.setProperty("--ems", ruler.getBoundingClientRect().width / em);
}

/** Draws the table the first way in which it is not too wide. */
function fitTable() {
  for (const way of ["", "small", "small broken"]) {
    table.className = way;
    if (table.offsetWidth <= table.parentElement.clientWidth) return;
  }
}

// A ruler changes with its number and with the font, whatever the reason.
const rulers = new ResizeObserver((entries) => {
  entries.forEach(({ target }) => measure(target));
  fitTable();
});
document.querySelectorAll(".ruler").forEach((ruler) => rulers.observe(ruler));
addEventListener("resize", fitTable);

// ---- One minute in detail: by pointer, finger or arrow keys.

let selected = null; // the <li> of the bar whose detail shows

function select(item) {
  selected = item;
  showDetail();
}

function showDetail() {
  if (selected && !selected.isConnected) selected = null;
  for (const item of bars.children) item.classList.toggle("selected", item === selected);
  plot.classList.toggle("picked", selected !== null);
  detail.hidden = selected === null;
  if (!selected) return;

  const minute = answer.minutes[[...bars.children].indexOf(selected)];
  detail.querySelector("strong").textContent = events(minute.count);
  detail.querySelector("span").textContent = span(minute);
  const middle = selected.offsetLeft + selected.offsetWidth / 2;
  plot.style.setProperty("--at", `${(100 * middle) / plot.offsetWidth}%`);
}

const focused = () => bars.querySelector(":focus-visible")?.parentElement ?? null;

function follow(event) {
  // A finger's events keep the target they began on, so ask what lies under it.
  const under = document.elementFromPoint(event.clientX, event.clientY);
  const item = under?.closest("#bars > li");
  if (item) select(item);
}

bars.addEventListener("pointerdown", follow);
bars.addEventListener("pointermove", follow);
bars.addEventListener("pointerleave", (event) => {
  if (event.pointerType === "mouse") select(focused());
});
bars.addEventListener("focusin", (event) => {
  bars.querySelector("[tabindex='0']")?.setAttribute("tabindex", -1);
  event.target.tabIndex = 0;
  select(event.target.parentElement);
});
bars.addEventListener("focusout", () => select(null));
bars.addEventListener("keydown", (event) => {
  const here = event.target.parentElement;
  const next = {
    ArrowLeft: here.previousElementSibling,
    ArrowRight: here.nextElementSibling,
    Home: bars.firstElementChild,
    End: bars.lastElementChild,
  }[event.key];
  if (event.key === "Escape") select(null);
  if (!next) return;
  event.preventDefault();
  next.firstChild.focus();
});
document.addEventListener("pointerdown", (event) => {
  if (!bars.contains(event.target)) select(null);
});

// ---- Asking, once a second; less and less often while there is no answer.

let timer = 0;
let asked = 0; // number of the last request sent
let shown = 0; // number of the request whose answer the page shows
let failures = 0; // in a row
let answeredAt = null;

async function fetchAnswer(path) {
  const response = await fetch(path, {
    cache: "no-store",
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (!response.ok) throw new Error(`error ${response.status}`);
  return response.json();
}

async function ask() {
  clearTimeout(timer);
  const number = ++asked;
  const startedAt = performance.now();
  try {
    const newer = await fetchAnswer("events/minutes");
    if (number < shown) return; // overtaken by the answer to a later request
    shown = number;
    answer = newer;
    failures = 0;
    answeredAt = new Date();
    showAnswer();
    showStatus("live", "live");
    if (number % ALLOCATIONS_EVERY === 1 && !document.hidden) askAllocations();
  } catch (error) {
    if (number < asked) return; // a later request is on its way and decides
    failures += 1;
    showSilence(error);
  }
  if (number < asked) return;
  const tookMs = performance.now() - startedAt;
  timer = setTimeout(ask, failures ? retryDelay() : Math.max(SHORTEST_PAUSE_MS, POLL_MS - tookMs));
}

let listed = 0; // number of the last request for the allocations
let listedAt = -Infinity;

/** Beside the figures, which don't wait for it; where it fails the next one decides. */
async function askAllocations() {
  const number = ++listed;
  const { allocations, wanted } = await fetchAnswer("allocations").catch(() => ({ allocations: null }));
  if (number < listed) return;
  if (allocations) listedAt = performance.now();
  else if (performance.now() - listedAt < KEPT_MS) return;
  showAllocations(allocations ?? [], wanted ?? null);
}

/** Doubles from half a second to five; the random part keeps many screens from returning at once. */
function retryDelay() {
  const delay = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** (failures - 1));
  return delay * (0.75 + Math.random() / 4);
}

function showSilence(error) {
  const complaint = error.message.startsWith("error ") ? error.message : "no answer";
  const since = answeredAt ? ` since ${clock.format(answeredAt)}` : " yet";
  showStatus("silent", `${complaint}${since}, trying again…`);
  if (!answer) return;
  byId("newest").textContent = clock.format(new Date(answer.to)); // "now" no longer
  document.title = `No answer${since} · Teracompra`;
}

addEventListener("online", ask);
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") ask();
});
ask();

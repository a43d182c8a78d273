// Topics: messages as they come by, and the tree that grows with them. What comes is set as text, never as markup.
"use strict";
(() => {
  const MESSAGES_MAX = 200;
  const TOPICS_MAX = 500;
  const [LINES, CHARS] = [12, 800];
  const watch = document.getElementById("watch");
  if (!watch) return;
  const [state, list, pause, clear] = ["watch-state", "messages", "pause", "clear"].map((id) => document.getElementById(id));
  const seen = new Map();
  let source = null;
  let isPaused = false;
  let [shown, missed] = [0, 0];

  const make = (name, text, className) => {
    const one = document.createElement(name);
    if (text !== undefined) one.textContent = text;
    if (className) one.className = className;
    return one;
  };
  const size = (bytes) => {
    let at = 0;
    while (bytes >= 1000 && at < 2) { bytes /= 1000; at += 1; }
    return `${at ? bytes.toPrecision(3).replace(/\.?0+$/, "") : bytes} ${["B", "kB", "MB"][at]}`;
  };
  const say = () => {
    const on = source !== null && !isPaused;
    state.classList.toggle("on", on);
    const more = missed ? ` ${missed} more ${missed === 1 ? "was" : "were"} not shown.` : "";
    if (source === null) return;
    state.textContent = isPaused ? `Paused.${more}` : (shown ? `Live.${more}` : "Live: nothing has come by yet.");
  };

  const item = (data) => {
    const [li, head] = [make("li"), make("div", undefined, "message-head")];
    const code = make("code");
    code.append(make("bdi", data.shown.topic));
    const about = `QoS ${data.qos}${data.retain ? ", retained" : ""}, ${size(data.bytes)}${data.cut ? ", cut here" : ""}`;
    const time = make("time", new Date(data.at).toLocaleTimeString([], { hourCycle: "h23" }));
    time.title = data.at;
    const hint = make("span", `${about}, `, "hint");
    hint.append(time);
    head.append(code, hint);
    const pre = make("pre", data.shown.payload, "payload");
    const lines = data.shown.payload.split("\n").length;
    li.append(head, pre);
    const characters = [...data.shown.payload].length;
    if (lines > LINES || characters > CHARS) {
      const details = make("details");
      pre.replaceWith(details);
      details.append(make("summary", lines > LINES ? `Show ${lines} lines` : `Show ${characters.toLocaleString("en")} characters`), pre);
    }
    return li;
  };

  // The tree grows where it is open; what is below a closed level is fetched when it is opened.
  const root = document.querySelector("#tree .tree");
  const child = (ul, kind, name) => [...ul.children].find((li) => li.dataset[kind] === name);
  const grow = (topic, shownTopic) => {
    if (!root || !topic.startsWith(root.dataset.path)) return;
    const skip = root.dataset.path.split("/").length - 1;
    const [names, words] = [topic.split("/").slice(skip), shownTopic.split("/").slice(skip)];
    let [ul, path] = [root, root.dataset.path];
    names.forEach((name, at) => {
      if (!ul) return;
      if (at === names.length - 1) {
        if (child(ul, "leaf", name)) return;
        const [li, link] = [make("li"), make("a")];
        li.dataset.leaf = name;
        link.href = `/broker/topics?filter=${encodeURIComponent(topic)}`;
        link.append(make("bdi", words[at] || "(empty)"));
        li.append(link);
        ul.append(li);
        return;
      }
      path += `${name}/`;
      let li = child(ul, "branch", name);
      if (!li) {
        li = make("li");
        li.dataset.branch = name;
        const [details, summary, below, inner] = [make("details"), make("summary"), make("div", undefined, "below"), make("ul", undefined, "tree")];
        summary.append(make("bdi", words[at] || "(empty)"), "/");
        inner.dataset.path = path;
        below.append(inner);
        details.append(summary, below);
        li.append(details);
        ul.append(li);
      }
      ul = li.querySelector(":scope > details > .below > .tree");
    });
    document.querySelector("#tree [data-none]")?.remove();
  };
  new MutationObserver((changes) => {
    const isFetched = changes.some((one) => one.target.classList?.contains("below"));
    if (isFetched) seen.forEach((words, topic) => grow(topic, words));
  }).observe(document.getElementById("tree"), { childList: true, subtree: true });

  const begin = () => {
    const query = new URLSearchParams({ filter: watch.dataset.filter, shown: "true" });
    source = new EventSource(`/api/v1/broker/messages?${query}`);
    source.addEventListener("open", say);
    source.addEventListener("message", (event) => {
      const data = JSON.parse(event.data);
      if (!seen.has(data.topic) && seen.size < TOPICS_MAX) {
        seen.set(data.topic, data.shown.topic);
        grow(data.topic, data.shown.topic);
      }
      if (isPaused) { missed += 1; say(); return; }
      shown += 1;
      list.prepend(item(data));
      while (list.children.length > MESSAGES_MAX) list.lastElementChild.remove();
      say();
    });
    source.addEventListener("left-out", (event) => { missed += JSON.parse(event.data).count; say(); });
    source.addEventListener("end", (event) => {
      const why = JSON.parse(event.data).why;
      stop(why === "time" ? "It stopped after ten minutes." : why === "rights" ? "Your rights have changed." : "The broker ended it.");
    });
    source.addEventListener("error", () => {
      if (source?.readyState === EventSource.CLOSED) stop("The hub does not let you look on now.");
      else if (source) { state.classList.remove("on"); state.textContent = "The hub can't be reached; trying again."; }
    });
  };
  const stop = (why) => {
    source?.close();
    source = null;
    state.classList.remove("on");
    state.textContent = `${why} Reload the page to go on.`;
  };

  pause.addEventListener("click", () => {
    isPaused = !isPaused;
    if (!isPaused) missed = 0;
    pause.setAttribute("aria-pressed", isPaused);
    pause.textContent = isPaused ? "Go on" : "Pause";
    say();
  });
  clear.addEventListener("click", () => { list.replaceChildren(); [shown, missed] = [0, 0]; say(); });
  addEventListener("pagehide", () => source?.close());
  document.getElementById("watch-acts").hidden = false;
  begin();
})();

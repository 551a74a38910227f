// The page's texts in the browser's language, or in the one that was chosen.

const texts = await (await fetch("/static/texts.json")).json();
const preferred = (navigator.languages ?? [navigator.language]).map((tag) => tag.slice(0, 2).toLowerCase());

export let language = localStorage.getItem("language") ?? preferred.find((tag) => tag in texts) ?? "en";

/** A text with its {names} replaced. */
export function say(key, values = {}) {
  return texts[language][key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/** Put all fixed texts of the page into the language. */
export function translate() {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  document.title = say("title");
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = say(element.dataset.text);
  for (const element of document.querySelectorAll("[data-label]")) {
    element.title = say(element.dataset.label);
    element.setAttribute("aria-label", element.title);
  }
}

export function switchLanguage() {
  language = language === "zh" ? "en" : "zh";
  localStorage.setItem("language", language);
  translate();
}

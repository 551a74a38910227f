// What the page asks of its server. A mistake comes back as an Error with the server's words.

import { language, say } from "./texts.js";

async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { ...options, headers: { "Accept-Language": language } });
  } catch (error) {
    throw error.name === "AbortError" ? error : new Error(say("no_server"));
  }
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => ({}));
  throw new Error(told.error ?? `${answer.status} ${answer.statusText}`);
}

export const about = async () => (await ask("/api")).json();

/** Send a photograph (File), or have the server take a sample (name): a photo, {id, name, state, width, height, offset, blob, …}. */
export async function open(source, signal) {
  const isSample = typeof source === "string";
  const query = new URLSearchParams(isSample ? { sample: source } : { name: source.name });
  const answer = await ask(`/photographs?${query}`, { method: "POST", body: isSample ? undefined : source, signal });
  return withView({ ...(await answer.json()), offset: [0, 0] });
}

/** Fill the mask (Blob or null) in a photo; options: model, detail, dilate, extend. The new photo. */
export async function fill(photo, mask, options, signal) {
  const path = `/photographs/${photo.id}/${photo.state}/fill?${new URLSearchParams(options)}`;
  const answer = await ask(path, { method: "POST", body: mask ?? undefined, signal });
  const [left, top] = (options.extend ?? "0,0").split(",").map(Number);
  const offset = [photo.offset[0] + left, photo.offset[1] + top];
  return withView({ id: photo.id, name: photo.name, ...(await answer.json()), offset });
}

async function withView(photo) {
  return { ...photo, blob: await (await ask(`/photographs/${photo.id}/${photo.state}/view`)).blob() };
}

/** The place in the queue of what a photo waits for; 0 at work. */
export const place = async ({ id }) => (await (await ask(`/photographs/${id}`)).json()).place;

/** The finished file: {blob, name}. */
export async function result(photo, options) {
  const answer = await ask(`/photographs/${photo.id}/${photo.state}/result?${new URLSearchParams(options)}`);
  const header = answer.headers.get("Content-Disposition") ?? "";
  const [, coded, plain] = header.match(/filename\*=utf-8''([^;]+)|filename="([^"]+)"/) ?? [];
  return { blob: await answer.blob(), name: coded ? decodeURIComponent(coded) : plain };
}

export const forget = (photo) => ask(`/photographs/${photo.id}`, { method: "DELETE" }).catch(() => {});

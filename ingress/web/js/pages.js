// The Facebook Pages there are.
import { signal } from "../vendor/preact.js";
import { get } from "./api.js";

// null until they are known.
export const pages = signal(null);

export async function loadPages() {
  const { data } = await get("/api/pages");
  pages.value = data;
}

// Runs before the first paint, hence a classic script: how this person wants the pages to look.
{
  const chosen = (name) => {
    try {
      return localStorage.getItem(name);
    } catch {
      return null; // storage is switched off: the defaults hold
    }
  };
  document.documentElement.dataset.theme = chosen("theme") ?? "system";
  document.documentElement.dataset.density = chosen("density") ?? "comfortable";
}

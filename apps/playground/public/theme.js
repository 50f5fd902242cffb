// Loaded before the page is drawn, so that a chosen theme does not flash in late.
try {
  const theme = localStorage.getItem('guru-theme')
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme
} catch {
  // Storage may be forbidden: the system decides.
}

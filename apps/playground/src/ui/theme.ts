// Light, dark, or what the system says. What was chosen is put in place by `public/theme.js` before anything is drawn.

import { h } from './dom.ts'
import { icon } from './icons.ts'

const KEY = 'guru-theme'

/** A button that changes over; the choice is remembered. */
export function themeButton(): HTMLElement {
  const root = document.documentElement
  const system = matchMedia('(prefers-color-scheme: dark)')
  const isDark = () => (root.dataset.theme ?? (system.matches ? 'dark' : 'light')) === 'dark'
  const button = h('button', {
    type: 'button',
    class: 'tool',
    onclick: () => {
      root.dataset.theme = isDark() ? 'light' : 'dark'
      try {
        localStorage.setItem(KEY, root.dataset.theme)
      } catch {
        // Storage may be forbidden: then the choice lasts as long as the page.
      }
      label()
    },
  })
  const label = () => {
    const text = isDark() ? 'Switch to light' : 'Switch to dark'
    button.title = text
    button.setAttribute('aria-label', text)
    button.replaceChildren(icon(isDark() ? 'light' : 'dark'))
  }
  system.addEventListener('change', label)
  label()
  return button
}

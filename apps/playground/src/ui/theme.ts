// Light, dark, or what the system says.

import { h, icon } from './dom.ts'

const KEY = 'guru-theme'
const SUN =
  'M10 3V1.5M10 18.5V17M3 10H1.5M18.5 10H17M5 5 4 4M16 16l-1-1M15 5l1-1M4 16l1-1M13 10a3 3 0 1 1-6 0 3 3 0 0 1 6 0'

/** A button that changes over; the choice is remembered. */
export function themeButton(): HTMLElement {
  const root = document.documentElement
  const remembered = localStorage.getItem(KEY)
  if (remembered) root.dataset.theme = remembered
  const isDark = () =>
    (root.dataset.theme ?? (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light')) === 'dark'
  return h(
    'button',
    {
      type: 'button',
      class: 'tool',
      title: 'Light or dark',
      onclick: () => {
        root.dataset.theme = isDark() ? 'light' : 'dark'
        localStorage.setItem(KEY, root.dataset.theme)
      },
    },
    icon(SUN),
    h('span', { class: 'visually-hidden' }, 'Light or dark'),
  )
}

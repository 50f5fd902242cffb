// Icons of 20 by 20, drawn with strokes.

import { s } from './dom.ts'

const PATHS = {
  send: 'M10 16V4.5M5 9.5 10 4.5l5 5',
  stop: 'M6.5 6.5h7v7h-7z',
  image: 'M3.5 4.5h13v11h-13zM3.5 13l3.5-3.5 3 3 2.5-2.5 4 4M12.6 7.6h.01',
  voice:
    'M10 3a2.2 2.2 0 0 1 2.2 2.2v4a2.2 2.2 0 0 1-4.4 0v-4A2.2 2.2 0 0 1 10 3zM5 9.2a5 5 0 0 0 10 0M10 14.2V17',
  remove: 'M6 6l8 8M14 6l-8 8',
  clock: 'M10 3.5a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13zM10 6.5V10l2.3 1.6',
  sent: 'M5 10.5 8.5 14 15 6.5',
  answered: 'M2.5 10.5 6 14l6.5-7.5M9.5 13l1 1L17 6.5',
  broken: 'M2.5 10h5M12.5 10h5M8.5 13.5l3-7',
  failed: 'M10 3.5a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13zM10 6.5v4.2M10 13.4h.01',
  retry: 'M15.6 8.2A6 6 0 1 0 16 11M16 4.5v4h-4',
  held: 'M7.5 5.5v9M12.5 5.5v9',
  switch: 'M2.5 13H7l6-6.5M13 13h4.5',
  page: 'M5.5 3.5h6l3 3v10h-9zM11.5 3.5v3h3M8 10h4M8 13h4',
  light:
    'M10 3V1.5M10 18.5V17M3 10H1.5M18.5 10H17M5 5 4 4M16 16l-1-1M15 5l1-1M4 16l1-1M13 10a3 3 0 1 1-6 0 3 3 0 0 1 6 0',
  dark: 'M16 11.8A6.6 6.6 0 0 1 8.2 4a6.6 6.6 0 1 0 7.8 7.8z',
  open: 'M5 8l5 5 5-5',
} as const

export type IconName = keyof typeof PATHS

export function icon(name: IconName): SVGElement {
  return s(
    'svg',
    { viewBox: '0 0 20 20', class: `icon icon-${name}`, 'aria-hidden': 'true' },
    s('path', { d: PATHS[name] }),
  )
}

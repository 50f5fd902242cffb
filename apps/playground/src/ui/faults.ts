// The buttons that hurt.

import { h } from './dom.ts'

interface Fault {
  readonly label: string
  readonly note: string
  /** For how long the button shows that it is at work; `undefined` for a switch. */
  readonly lastsMs?: number
  readonly on: object
  readonly off?: object
}

const FAULTS: readonly Fault[] = [
  { label: 'Cut the line', note: 'every WebSocket, now', lastsMs: 700, on: { cut: true } },
  { label: 'Stop the backend', note: 'for 10 seconds', lastsMs: 10_000, on: { refuseMs: 10_000 } },
  { label: '30 % errors', note: 'answers 503', on: { failRate: 0.3 }, off: { failRate: 0 } },
  { label: 'Slow', note: '2 s of latency', on: { latencyMs: 2000 }, off: { latencyMs: 0 } },
]

/** @param apply tells the backend */
export function faultButtons(apply: (fault: object) => Promise<void>): HTMLElement {
  return h('div', { class: 'faults' }, ...FAULTS.map((fault) => button(fault, apply)))
}

function button(
  { label, note, lastsMs, on, off }: Fault,
  apply: (fault: object) => Promise<void>,
): HTMLElement {
  const element = h(
    'button',
    { type: 'button', ...(off ? { 'aria-pressed': 'false' } : {}), onclick: () => void press() },
    h('strong', {}, label),
    h('span', {}, note),
  )
  const show = (active: boolean) => {
    element.classList.toggle('active', active)
    if (off) element.setAttribute('aria-pressed', String(active))
  }
  const press = async () => {
    const active = !element.classList.contains('active')
    if (!off && !active) return
    show(active)
    await apply(active ? on : (off ?? on)).catch(() => show(false))
    if (lastsMs === undefined) return
    element.style.setProperty('--lasts', `${lastsMs}ms`)
    setTimeout(() => show(false), lastsMs)
  }
  return element
}

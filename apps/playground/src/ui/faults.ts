// The buttons that hurt. What they show is what the backend says it does.

import { formatSeconds } from '../model/format.ts'
import type { FaultChange, Faults, Vitals } from '../model/vitals.ts'
import { h, setText } from './dom.ts'

/** A cut is over at once; the button shows for so long that it was heard. */
const FLASH_MS = 700

interface Fault {
  readonly label: string
  readonly note: string
  readonly on: FaultChange
  /** For a switch: what puts it right. */
  readonly off?: FaultChange
  readonly isActive: (faults: Faults) => boolean
  /** What to say while it is at work, if not the note. */
  readonly progress?: (faults: Faults) => string
}

const FAULTS: readonly Fault[] = [
  { label: 'Cut the line', note: 'no close frame', on: { cut: true }, isActive: () => false },
  {
    label: 'Stop backend',
    note: 'for 10 s',
    on: { awayMs: 10_000 },
    isActive: ({ awayMs }) => awayMs > 0,
    progress: ({ awayMs }) => `back in ${formatSeconds(awayMs)}`,
  },
  {
    label: '30 % errors',
    note: '503 over HTTP',
    on: { failRate: 0.3 },
    off: { failRate: 0 },
    isActive: ({ failRate }) => failRate > 0,
  },
  {
    label: '2 s latency',
    note: 'on everything',
    on: { latencyMs: 2000 },
    off: { latencyMs: 0 },
    isActive: ({ latencyMs }) => latencyMs > 0,
  },
]

export class FaultButtons {
  readonly element: HTMLElement
  readonly #apply: (change: FaultChange) => Promise<void>
  readonly #buttons: readonly { readonly element: HTMLButtonElement; draw(faults: Faults): void }[]
  readonly #missing = h(
    'p',
    { class: 'missing', hidden: true },
    'This backend takes no faults: it was started without them.',
  )
  #faults: Vitals['faults'] = 'unknown'

  /** @param apply tells the backend */
  constructor(apply: (change: FaultChange) => Promise<void>) {
    this.#apply = apply
    this.#buttons = FAULTS.map((fault) => this.#button(fault))
    this.element = h(
      'div',
      { class: 'faults' },
      ...this.#buttons.map(({ element }) => element),
      this.#missing,
    )
  }

  draw({ faults }: Vitals): void {
    this.#faults = faults
    this.#missing.hidden = faults !== 'none'
    for (const { element, draw } of this.#buttons) {
      element.disabled = typeof faults !== 'object'
      if (typeof faults === 'object') draw(faults)
    }
  }

  #button({ label, note, on, off, isActive, progress }: Fault) {
    const noteElement = h('span', {}, note)
    const press = () => {
      const active = typeof this.#faults === 'object' && isActive(this.#faults)
      if (active && !off) return
      if (on.cut) {
        element.classList.add('active')
        setTimeout(() => element.classList.remove('active'), FLASH_MS)
      }
      // A backend that cannot be told is one that is down: the recorder shows it.
      void this.#apply(active && off ? off : on).catch(() => {})
    }
    const element = h(
      'button',
      { type: 'button', class: 'fault', 'aria-pressed': off && 'false', onclick: press },
      h('strong', {}, label),
      noteElement,
    )
    return {
      element,
      draw(faults: Faults) {
        if (on.cut) return
        const active = isActive(faults)
        element.classList.toggle('active', active)
        if (off) element.setAttribute('aria-pressed', String(active))
        setText(noteElement, active && progress ? progress(faults) : note)
      },
    }
  }
}

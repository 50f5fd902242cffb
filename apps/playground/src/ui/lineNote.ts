// One line above the composer that says how the line is, in words. It is always there, so that nothing jumps.

import { formatSeconds } from '../model/format.ts'
import type { Vitals } from '../model/vitals.ts'
import { h, setText } from './dom.ts'

const DOING: Readonly<Record<string, string>> = {
  listening: 'The assistant is listening',
  thinking: 'The assistant is thinking',
  speaking: 'The assistant is speaking',
}

export class LineNote {
  readonly element: HTMLElement
  readonly #text = h('span', {})
  readonly #button: HTMLButtonElement

  constructor(reconnectNow: () => void) {
    this.#button = h(
      'button',
      { type: 'button', class: 'link', hidden: true, onclick: reconnectNow },
      'Try now',
    )
    this.element = h('div', { class: 'line-note' }, h('span', { class: 'dot' }), this.#text, this.#button)
  }

  draw(vitals: Vitals): void {
    setText(this.#text, words(vitals))
    this.#button.hidden = vitals.state !== 'waiting' && vitals.state !== 'failed'
  }
}

function words({ state, status, attempts, nextAttemptMs = 0, queuedMessages }: Vitals): string {
  const waits = queuedMessages > 0 ? ` · ${queuedMessages} waiting` : ''
  switch (state) {
    case 'open':
      return DOING[status] ?? 'Line open'
    case 'waiting':
      return `Line down · again in ${formatSeconds(nextAttemptMs)}${waits}`
    case 'connecting':
      return attempts > 0 ? `Connecting, attempt ${attempts}${waits}` : 'Connecting'
    case 'failed':
      return 'The line was given up'
    default:
      return `Line ${state}`
  }
}

// What a screen reader says: answers once they are whole (not word by word), and what becomes of the line.

import type { Delivery, Exchange } from '../model/Conversation.ts'
import { h } from './dom.ts'

const ENDINGS: Readonly<Partial<Record<Delivery, string>>> = {
  queued: 'The line is down. Your message waits.',
  stopped: 'Stopped.',
  lost: 'The session was lost before the answer ended.',
  failed: 'That failed.',
}

export class Announcer {
  readonly element = h('div', { class: 'visually-hidden', 'aria-live': 'polite' })
  readonly #deliveries = new Map<string, Delivery>()
  #wasOpen = false
  #wasDown = false

  exchange({ id, delivery, answer, problem }: Exchange): void {
    if (this.#deliveries.get(id) === delivery) return
    this.#deliveries.set(id, delivery)
    if (delivery === 'answered') this.#say(answer.replace(/[`*]/g, ''))
    else if (ENDINGS[delivery]) this.#say(`${ENDINGS[delivery]} ${problem ?? ''}`)
  }

  line(state: string): void {
    if (state === 'waiting' && this.#wasOpen) {
      this.#say('The line is down. Trying again.')
      this.#wasDown = true
    }
    if (state === 'open' && this.#wasDown) {
      this.#say('The line is open again.')
      this.#wasDown = false
    }
    if (state === 'open' || state === 'waiting') this.#wasOpen = state === 'open'
  }

  /** Each as a paragraph of its own, so that the second does not silence the first. */
  #say(text: string): void {
    this.element.append(h('p', {}, text))
    while (this.element.children.length > 4) this.element.firstElementChild?.remove()
  }
}

// The log of what requests went through, and the switches that make some.

import type { EventLog, LogEntry } from '../model/EventLog.ts'
import { h, setText } from './dom.ts'
import { type IconName, icon } from './icons.ts'

const SIGNS: Readonly<Record<LogEntry['kind'], IconName>> = {
  ok: 'sent',
  retry: 'retry',
  failed: 'remove',
  limited: 'held',
  breaker: 'switch',
}

export interface RequestMaker {
  setPulse(on: boolean): void
  request(times?: number): void
}

/** The switches: a request a second, a burst that the limiter will not let through whole. */
export function requestTools(maker: RequestMaker): HTMLElement {
  const pulse = h('input', {
    type: 'checkbox',
    checked: true,
    onchange: () => maker.setPulse(pulse.checked),
  })
  return h(
    'div',
    { class: 'tools' },
    h('label', { class: 'check' }, pulse, 'one a second'),
    h('button', { type: 'button', class: 'small', onclick: () => maker.request(40) }, '40 at once'),
  )
}

interface Item {
  readonly element: HTMLElement
  draw(entry: LogEntry): void
}

export class RequestLog {
  readonly element = h('ol', { class: 'log', 'aria-label': 'What requests went through', tabindex: 0 })
  readonly #log: EventLog
  readonly #items = new Map<number, Item>()
  #version = -1

  constructor(log: EventLog) {
    this.#log = log
  }

  draw(): void {
    if (this.#version === this.#log.version) return
    this.#version = this.#log.version
    const entries = this.#log.entries
    const kept = new Set(entries.map(({ id }) => id))
    for (const [id, item] of this.#items) {
      if (kept.has(id)) continue
      item.element.remove()
      this.#items.delete(id)
    }
    // Oldest first, so that each newer one goes on top of it.
    for (const entry of entries.toReversed()) (this.#items.get(entry.id) ?? this.#add(entry)).draw(entry)
  }

  #add({ id, kind, subject }: LogEntry): Item {
    const time = h('time')
    const text = h('span', { class: 'text' })
    const times = h('span', { class: 'times' })
    const element = h(
      'li',
      { class: kind },
      time,
      icon(SIGNS[kind]),
      h('span', { class: 'subject' }, subject),
      text,
      times,
    )
    const item: Item = {
      element,
      draw(entry) {
        setText(time, new Date(entry.at).toLocaleTimeString([], { hour12: false }))
        setText(text, entry.text)
        setText(times, entry.times > 1 ? `×${entry.times}` : '')
      },
    }
    this.#items.set(id, item)
    this.element.prepend(element)
    return item
  }
}

// The instruments: latency, queue, breaker, limiter, requests.

import type { HttpEntry, Vitals } from '../line.ts'
import { h, s, setText } from './dom.ts'

/** A titled panel. */
export function panel(title: string, ...children: (Node | string)[]): HTMLElement {
  return h('section', { class: 'panel' }, h('h3', {}, title), ...children)
}

interface Meter {
  readonly element: HTMLElement
  set(share: number, text: string): void
}

function meter(label: string): Meter {
  const fill = h('span', { class: 'fill' })
  const value = h('span', { class: 'value' })
  const element = h(
    'div',
    { class: 'gauge' },
    h('span', { class: 'label' }, label),
    value,
    h('span', { class: 'track' }, fill),
  )
  return {
    element,
    set(share, text) {
      fill.style.setProperty('--share', Math.max(0, Math.min(1, share)).toFixed(3))
      fill.classList.toggle('low', share < 0.2)
      setText(value, text)
    },
  }
}

export class Instruments {
  readonly element: HTMLElement
  readonly #latency = h('span', { class: 'big' })
  readonly #latencyNote = h('span', { class: 'note' })
  readonly #spark = s('svg', {
    viewBox: '0 0 120 36',
    preserveAspectRatio: 'none',
    class: 'spark',
    'aria-hidden': 'true',
  })
  readonly #queue = h('span', { class: 'big' })
  readonly #queueNote = h('span', { class: 'note' })
  readonly #breaker = h('span', { class: 'big breaker' })
  readonly #breakerNote = h('span', { class: 'note' })
  readonly #buckets: Meter[] = []
  readonly #bucketBox = h('div', { class: 'gauges' })
  readonly #httpNote = h('span', { class: 'note' })
  readonly #log = h('ol', { class: 'log' })
  #newest = 0

  /** @param tools buttons that make requests, shown above their log */
  constructor(tools: HTMLElement) {
    this.element = h(
      'div',
      { class: 'instruments' },
      h(
        'div',
        { class: 'trio' },
        panel('Heartbeat', this.#latency, this.#latencyNote, this.#spark),
        panel('Queue', this.#queue, this.#queueNote),
        panel('Breaker', this.#breaker, this.#breakerNote),
      ),
      panel('Rate limits', this.#bucketBox),
      panel('Requests', tools, this.#httpNote, this.#log),
    )
  }

  draw(vitals: Vitals, log: readonly HttpEntry[]): void {
    const { latency, breaker, http } = vitals
    setText(this.#latency, latency.last === undefined ? '–' : `${formatMs(latency.last)}`)
    setText(
      this.#latencyNote,
      latency.median === undefined ? 'no answer yet' : `median ${formatMs(latency.median)}`,
    )
    this.#drawSpark(latency.values)
    setText(this.#queue, String(vitals.queuedMessages))
    setText(
      this.#queueNote,
      vitals.queuedMessages === 0 ? 'nothing waits' : `${vitals.queuedBytes} bytes wait`,
    )
    setText(this.#breaker, breaker.state.replace('_', '-').toLowerCase())
    this.#breaker.dataset.state = breaker.state
    setText(
      this.#breakerNote,
      breaker.opensInMs === undefined
        ? `${breaker.failures} of ${breaker.requests} failed`
        : `a probe in ${(breaker.opensInMs / 1000).toFixed(1)} s`,
    )
    for (const [index, { name, tokens, capacity }] of vitals.buckets.entries()) {
      let bucket = this.#buckets[index]
      if (!bucket) {
        bucket = meter(name)
        this.#buckets.push(bucket)
        this.#bucketBox.append(bucket.element)
      }
      bucket.set(tokens / capacity, `${Math.floor(tokens)} of ${capacity}`)
    }
    setText(this.#httpNote, `${http.calls} calls · ${http.retries} retries · ${http.failed} failed`)
    this.#drawLog(log)
  }

  #drawSpark(values: readonly number[]): void {
    if (values.length < 2) return
    const top = Math.max(10, ...values)
    const points = values.map(
      (value, index) =>
        `${((index / (values.length - 1)) * 120).toFixed(1)},${(34 - (value / top) * 30).toFixed(1)}`,
    )
    const line = this.#spark.firstElementChild ?? this.#spark.appendChild(s('polyline', {}))
    line.setAttribute('points', points.join(' '))
  }

  #drawLog(log: readonly HttpEntry[]): void {
    const fresh = log.filter(({ id }) => id > this.#newest)
    if (fresh.length === 0) return
    this.#newest = fresh[0]?.id ?? this.#newest
    this.#log.prepend(
      ...fresh.map(({ at, kind, text }) =>
        h(
          'li',
          { class: kind },
          h('time', {}, new Date(at).toLocaleTimeString([], { hour12: false })),
          h('span', {}, text),
        ),
      ),
    )
    while (this.#log.children.length > 40) this.#log.lastElementChild?.remove()
  }
}

function formatMs(ms: number): string {
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`
}

// The right side: the recorder, the buttons that hurt, the limiter, the log. On a narrow screen a drawer.

import type { EventLog } from '../model/EventLog.ts'
import type { FaultChange, Recording, Vitals } from '../model/vitals.ts'
import { h, setText } from './dom.ts'
import { FaultButtons } from './faults.ts'
import { Limiter } from './limiter.ts'
import { Recorder } from './recorder.ts'
import { RequestLog, type RequestMaker, requestTools } from './requestLog.ts'

export interface HealthSource extends RequestMaker {
  readonly recording: Recording
  readonly log: EventLog
  setFault(change: FaultChange): Promise<void>
}

export class Health {
  readonly element: HTMLElement
  readonly #recorder: Recorder
  readonly #faults: FaultButtons
  readonly #limiter = new Limiter()
  readonly #log: RequestLog
  readonly #sums = h('span', { class: 'sums' })

  constructor(source: HealthSource) {
    this.#recorder = new Recorder(source.recording)
    this.#faults = new FaultButtons((change) => source.setFault(change))
    this.#log = new RequestLog(source.log)
    this.element = h(
      'aside',
      { class: 'health', id: 'health', 'aria-label': 'Health of the line' },
      part('Health', this.#sums, this.#recorder.element),
      part('Hurt it', undefined, this.#faults.element),
      part('Limiter', undefined, this.#limiter.element),
      part('Requests', requestTools(source), this.#log.element),
    )
  }

  draw(vitals: Vitals): void {
    this.#recorder.draw(vitals)
    this.#faults.draw(vitals)
    this.#limiter.draw(vitals)
    this.#log.draw()
    const { sent, received, dropped } = vitals
    setText(this.#sums, `${sent} sent · ${received} received · ${dropped} dropped`)
  }
}

function part(title: string, beside: HTMLElement | undefined, content: HTMLElement): HTMLElement {
  return h(
    'section',
    { class: `part part-${title.toLowerCase().replaceAll(' ', '-')}` },
    h('div', { class: 'part-head' }, h('h2', {}, title), beside),
    content,
  )
}

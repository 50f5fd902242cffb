// The limiter's buckets, token by token.

import type { Bucket, Vitals } from '../model/vitals.ts'
import { h, setText } from './dom.ts'

interface Row {
  readonly element: HTMLElement
  draw(bucket: Bucket): void
}

export class Limiter {
  readonly element = h('div', { class: 'buckets' })
  readonly #rows: Row[] = []

  draw({ buckets }: Vitals): void {
    for (const [index, bucket] of buckets.entries()) {
      const row = this.#rows[index] ?? this.#add(bucket)
      row.draw(bucket)
    }
  }

  #add({ category, endpoint, capacity, rate }: Bucket): Row {
    const value = h('span', { class: 'bucket-value' })
    const fill = h('span', { class: 'cells-fill' })
    const cells = h('span', { class: 'cells', 'aria-hidden': 'true' }, fill)
    cells.style.setProperty('--cells', String(capacity))
    const element = h(
      'div',
      { class: 'bucket' },
      h('span', { class: 'bucket-name', title: endpoint }, h('b', {}, category), ` ${rate}/s`),
      cells,
      value,
    )
    this.element.append(element)
    const row: Row = {
      element,
      draw({ tokens }) {
        // Whole tokens only: half a token lets nobody through.
        fill.style.setProperty('--share', String(Math.floor(tokens) / capacity))
        element.classList.toggle('empty', tokens < 1)
        setText(value, `${Math.floor(tokens)} / ${capacity}`)
      },
    }
    this.#rows.push(row)
    return row
  }
}

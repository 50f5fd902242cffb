// The process that weighs one subject: the heap after a full collection, with and without it.

import { payload, subjects } from '../contestants/memory.ts'
import { answer } from '../harness/child.ts'
import { settledHeap } from '../harness/heap.ts'

answer({
  /** Heap bytes of one, each time anew. The first batch is not counted: it pays for lazy code and shapes. */
  async weigh({ id, origin, batches }: { id: string; origin: string; batches: number }): Promise<number[]> {
    const subject = subjects[id]
    if (!subject) throw new Error(`no such subject: ${id}`)
    const make = await subject.prepare(origin)
    const weights: number[] = []
    const everything: unknown[] = []
    payload(0)
    for (let batch = 0; batch <= batches; batch += 1) {
      const kept: unknown[] = new Array(subject.count).fill(undefined)
      const before = await settledHeap()
      for (let index = 0; index < subject.count; index += 1) {
        const made = make(index)
        kept[index] = made instanceof Promise ? await made : made
      }
      const after = await settledHeap()
      if (batch > 0) weights.push((after - before) / subject.count)
      // Kept to the end: what is freed in mid-measurement would count against the next batch.
      everything.push(kept)
    }
    if (everything.length === 0) throw new Error('nothing was made')
    return weights
  },
})

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CommsError } from '../core/errors.ts'
import { type Live, LiveList } from './live.ts'

describe('LiveList', () => {
  it('behaves as a set does, whatever is added, removed or removed twice', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ add: fc.boolean(), which: fc.nat(9) }), { maxLength: 200 }),
        (steps) => {
          const items: Live[] = Array.from({ length: 10 }, () => ({ place: 0, end: () => {} }))
          const list = new LiveList()
          const expected = new Set<Live>()
          for (const { add, which } of steps) {
            const item = items[which] as Live
            if (add && !expected.has(item)) {
              list.add(item)
              expected.add(item)
            } else if (!add) {
              list.delete(item)
              expected.delete(item)
            }
            expect(list.size).toBe(expected.size)
          }
          const ended: Live[] = []
          for (const item of items) item.end = () => void ended.push(item)
          list.end(new CommsError('over', { code: 'DISPOSED' }))
          expect(new Set(ended)).toEqual(expected)
        },
      ),
    )
  })

  it('ends everything although each one leaves the list as it ends', () => {
    const list = new LiveList()
    let ended = 0
    for (let index = 0; index < 5; index += 1) {
      const item: Live = {
        place: 0,
        end() {
          ended += 1
          list.delete(item)
        },
      }
      list.add(item)
    }
    list.end(new CommsError('over', { code: 'DISPOSED' }))
    expect([ended, list.size]).toEqual([5, 0])
  })
})

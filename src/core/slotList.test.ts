import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SlotList, type Slotted } from './slotList.ts'

describe('SlotList', () => {
  it('behaves as a set does, whatever is added, removed or removed twice', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ add: fc.boolean(), which: fc.nat(9) }), { maxLength: 200 }),
        (steps) => {
          const items: Slotted[] = Array.from({ length: 10 }, () => ({ place: 0 }))
          const list = new SlotList<Slotted>()
          const expected = new Set<Slotted>()
          for (const { add, which } of steps) {
            const item = items[which] as Slotted
            if (add && !expected.has(item)) {
              list.add(item)
              expected.add(item)
            } else if (!add) {
              list.delete(item)
              expected.delete(item)
            }
            expect(list.size).toBe(expected.size)
            expect(new Set(list.snapshot())).toEqual(expected)
          }
        },
      ),
    )
  })
})

import { expect, it } from 'vitest'
import { OutcomeBins } from './OutcomeBins.ts'

it('counts outcomes second by second and forgets those that have left the window', () => {
  const bins = new OutcomeBins(1000, 3000)
  bins.add('ok', 100)
  bins.add('ok', 900)
  bins.add('retry', 950)
  bins.add('failed', 2500)
  expect(bins.within(2600)).toEqual([
    { from: 0, counts: { ok: 2, retry: 1, limited: 0, failed: 0 } },
    { from: 2000, counts: { ok: 0, retry: 0, limited: 0, failed: 1 } },
  ])
  bins.add('limited', 4200)
  expect(bins.within(4200).map(({ from }) => from)).toEqual([2000, 4000])
  expect(bins.within(60_000)).toEqual([])
})

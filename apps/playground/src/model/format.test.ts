import { expect, it } from 'vitest'
import { count, formatAge, formatBytes, formatMs } from './format.ts'

it.each([
  [formatMs(0.84), '0.8 ms'],
  [formatMs(124.4), '124 ms'],
  [formatMs(2049), '2.0 s'],
  [formatAge(8900), '8 s'],
  [formatAge(125_000), '2 min'],
  [formatAge(7_300_000), '2 h'],
  [formatBytes(12), '12 B'],
  [formatBytes(3500), '3.4 KB'],
  [formatBytes(10_600_000), '10.1 MB'],
  [count(1, 'retry', 'retries'), '1 retry'],
  [count(2, 'message'), '2 messages'],
])('%s', (shown, expected) => {
  expect(shown).toBe(expected)
})

import { describe, expect, it } from 'vitest'
import { whoGivesWay } from './queueShares.ts'

const session = (id: string, owner: string, queuedBytes: number, away = false) => ({
  id,
  owner,
  queuedBytes,
  away,
})

describe('who gives way when no more can be kept', () => {
  it.each([
    ['nobody, where there is nobody', [], 'a', undefined],
    ['nobody for who holds most himself', [session('1', 'a', 100), session('2', 'b', 99)], 'a', undefined],
    ['nobody for who holds as much', [session('1', 'a', 100), session('2', 'b', 100)], 'a', undefined],
    ['whoever holds most', [session('1', 'a', 1), session('2', 'b', 60), session('3', 'c', 50)], 'a', '2'],
    ['whoever holds most, for who holds nothing', [session('1', 'b', 60)], 'stranger', '1'],
    [
      'whoever holds most together, however small each',
      [session('1', 'b', 60), session('2', 'c', 35), session('3', 'c', 36)],
      'a',
      '3',
    ],
    [
      'one that is away before a larger one that is there',
      [session('1', 'b', 90), session('2', 'b', 10, true), session('3', 'b', 20, true)],
      'a',
      '3',
    ],
    [
      'not one that is away and holds nothing',
      [session('1', 'b', 90), session('2', 'b', 0, true), session('3', 'b', 20)],
      'a',
      '1',
    ],
    ['nobody where nothing is held', [session('1', 'b', 0, true)], 'a', undefined],
  ] as const)('%s', (_what, sessions, owner, expected) => {
    expect(whoGivesWay([...sessions], owner)?.id).toBe(expected)
  })
})

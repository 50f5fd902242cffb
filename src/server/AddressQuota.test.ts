import { expect, it } from 'vitest'
import { AddressQuota } from './AddressQuota.ts'

it('has room for so many of each address, and again for each that has gone', () => {
  const quota = new AddressQuota(2)
  quota.add('a')
  quota.add('a')
  quota.add('b')
  expect(['a', 'b', 'c'].map((address) => quota.hasRoom(address))).toEqual([false, true, true])
  quota.remove('a')
  expect(quota.hasRoom('a')).toBe(true)
  quota.add('a')
  expect(quota.hasRoom('a')).toBe(false)
})

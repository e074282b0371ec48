import { expect, it } from 'vitest'
import { formatBytes, formatNumber, formatRate, formatSeconds, plural } from './format.ts'

it('writes numbers as people read them', () => {
  expect([0, 999, 1000, 4_812_345, 12_000_000, 2.5e9].map(formatBytes)).toEqual([
    '0 bytes',
    '999 bytes',
    '1.0 kB',
    '4.8 MB',
    '12 MB',
    '2.5 GB',
  ])
  expect([0.04, 4.13, 9.97, 59.6, 60, 185, 3600, 7800].map(formatSeconds)).toEqual([
    'under 0.1 s',
    '4.1 s',
    '10 s',
    '1 min',
    '1 min',
    '3 min 5 s',
    '1 h',
    '2 h 10 min',
  ])
  expect([0, 0.31234, 2e-5, 12345.6, Number.NaN].map(formatNumber)).toEqual(['0', '0.312', '2.0e-5', '12,346', 'NaN'])
  expect([formatRate(3650.4, 'rows'), formatRate(0.4216, 'steps')]).toEqual(['3,650 rows/s', '0.422 steps/s'])
  expect([plural(1, 'row'), plural(1200, 'row'), plural(2, 'query', 'queries')]).toEqual([
    '1 row',
    '1,200 rows',
    '2 queries',
  ])
})

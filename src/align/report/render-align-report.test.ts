import { describe, expect, it } from 'vitest'
import type { AlignResult } from '../align.ts'
import { renderAlignReport } from './render-align-report.ts'

const cost = { vectors: 2, fit: 1 }
const result: AlignResult = {
  folder: 'out/<merged>',
  method: { name: 'ft-classifier', options: { shots: 10 } },
  seed: 3,
  seconds: 8,
  tasks: [
    {
      task: 'trec',
      texts: 40,
      otherTexts: 200,
      agreementBefore: 0.5,
      agreementAfter: 0.8,
      distance: 0.9,
      distanceRotated: 0.7,
      scores: {
        specialist: { accuracy: 0.9, hierarchicalF1: 0.95, ece: 0.05 },
        merged: { accuracy: 0.5, hierarchicalF1: 0.6, ece: 0.2 },
        aligned: { accuracy: 0.8, hierarchicalF1: 0.85, ece: 0.1 },
      },
      seconds: cost,
    },
    {
      task: 'mood',
      texts: 20,
      otherTexts: 100,
      distance: 0.4,
      distanceRotated: 0.3,
      scores: {
        specialist: { accuracy: 0.7, ece: 0.01 },
        merged: { accuracy: 0.7, ece: 0.02 },
        aligned: { accuracy: 0.6, ece: 0.03 },
      },
      seconds: cost,
    },
  ],
}
const text = (page: string) => page.replaceAll(/<[^>]*>/g, ' ').replaceAll(/\s+/g, ' ')

describe('the report of an alignment', () => {
  it('shows each task before and after, the share won back, and the mean', () => {
    const page = text(renderAlignReport(result))
    expect(page).toContain('Merged and aligned: &lt;merged&gt;')
    expect(page).toContain('trec 0.900 0.500 0.800 0.400 0.300 75 % 200')
    expect(page).toContain('mood 0.700 0.700 0.600 0.000 -0.100 100')
    expect(page).toContain('mean 0.800 0.600 0.700 0.200 0.100 50 %')
  })

  it('shows hierarchical F1 of tasks with a tree only, and calibration of all', () => {
    const page = text(renderAlignReport(result))
    const [, hierarchical] = page.split('Hierarchical F1')
    expect(hierarchical!.split('Calibration')[0]).not.toContain('mood')
    expect(page).toContain('trec 0.050 0.200 0.100 0.150 0.100 200')
    expect(page).toContain('mood 0.010 0.020 0.030 0.010 -0.010 100')
  })

  it('shows what the steps cost, those before included', () => {
    const page = text(renderAlignReport(result, { seconds: { 'the merge': 12 } }))
    expect(page).toContain('the merge 12.0 s vectors of both encoders 4.0 s fitting the heads 2.0 s')
    expect(page).toContain('reading models, scoring 2.0 s')
  })

  it('says so where no text was left to measure on', () => {
    const { scores: _, ...bare } = result.tasks[0]!
    expect(text(renderAlignReport({ ...result, tasks: [bare] }))).toContain('No text was left to measure on')
  })
})

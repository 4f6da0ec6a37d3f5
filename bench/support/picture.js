// Reads the charts of all reports as JSON and writes one picture of them as SVG, for light and dark pages alike. It is plain
// JavaScript, as the types of what it imports are only there once the packages of bench/ are installed.
import { text } from 'node:stream/consumers';
import * as echarts from 'echarts';

const WIDTH = 960;
const LABELS = 290;
const BAR = 24;
const HEAD = 34;
const GAP = 26;
const OURS = '#1f6feb';
const OTHERS = '#a0a8b3';
const TEXT = '#57606a';

process.stdout.write(pictureOf(JSON.parse(await text(process.stdin))));

/** All charts under each other. */
function pictureOf(charts) {
  let top = 0;
  const panels = charts.map((chart) => {
    const height = chart.bars.length * BAR;
    const panel = { chart, top: top + HEAD, height };
    top += HEAD + height + GAP;
    return panel;
  });
  const picture = echarts.init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height: top });
  picture.setOption({
    animation: false,
    textStyle: { fontFamily: 'system-ui, sans-serif' },
    title: panels.map((panel) => ({
      text: `${panel.chart.title}, ${panel.chart.unit}${panel.chart.scale === 'log' ? ' (logarithmic)' : ''}`,
      left: 8,
      top: panel.top - HEAD + 6,
      textStyle: { fontSize: 14, color: TEXT },
    })),
    grid: panels.map(({ top: gridTop, height }) => ({ left: LABELS, right: 90, top: gridTop, height })),
    xAxis: panels.map(({ chart }, gridIndex) => ({ gridIndex, show: false, ...rangeOf(chart) })),
    yAxis: panels.map(({ chart }, gridIndex) => ({
      gridIndex,
      type: 'category',
      inverse: true,
      data: chart.bars.map((bar) => bar.name.replaceAll('`', '')),
      axisLine: { show: false },
      axisTick: { show: false },
      axisLabel: { color: TEXT, fontSize: 12, width: LABELS - 20, overflow: 'truncate' },
    })),
    series: panels.map(({ chart }, index) => ({
      type: 'bar',
      xAxisIndex: index,
      yAxisIndex: index,
      barWidth: BAR - 8,
      label: { show: true, position: 'right', color: TEXT, formatter: ({ value }) => shortOf(value) },
      data: chart.bars.map((bar) => ({ value: bar.value, itemStyle: { color: bar.isOurs ? OURS : OTHERS } })),
    })),
  });
  const svg = picture.renderToSVGString();
  picture.dispose();
  return svg;
}

/** A logarithmic bar starts a decade below the smallest value, so that this one can be seen as well. */
function rangeOf({ scale, bars }) {
  if (scale !== 'log') return { type: 'value', min: 0 };
  const smallest = Math.min(...bars.map((bar) => bar.value));
  const min = 10 ** (Math.floor(Math.log10(smallest)) - 1);
  return { type: 'log', min, startValue: min };
}

function shortOf(value) {
  if (value >= 100) return Math.round(value).toLocaleString('en');
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

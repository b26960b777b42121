// Lines over time, by uPlot.  Colours are those of the style sheet, read anew when the scheme of the screen changes.
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { clock } from './text.js';

const HEIGHT = 190;

const timeOfDay = (s) => clock(s * 1000).slice(0, 8);

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function optionsOf(lines, format, width) {
  const axis = { stroke: colour('--dim'), grid: { stroke: colour('--line'), width: 1 }, ticks: { show: false }, font: '11px system-ui, sans-serif' };
  return {
    width,
    height: HEIGHT,
    padding: [10, 8, 0, 0],
    cursor: { points: { size: 6 }, drag: { x: false, y: false } },
    legend: { live: true },
    scales: { x: { time: true }, y: { range: (_, least, most) => [0, most > 0 ? most * 1.15 : 1] } },
    axes: [{ ...axis, space: 80, values: (_, ticks) => ticks.map(timeOfDay) }, { ...axis, size: 58, values: (_, ticks) => ticks.map(format) }],
    series: [{ label: 'at', value: (_, v) => (v == null ? '–' : timeOfDay(v)) }, ...lines.map((line) => ({ label: line.name, stroke: colour(line.colour), width: 1.5, points: { show: false },
      value: (_, v) => format(v) }))],
  };
}

export function Chart({ lines, data, format }) {
  const place = useRef(null);
  const plot = useRef(null);
  const newest = useRef(data);
  newest.current = data;
  useEffect(() => {
    const make = () => {
      plot.current?.destroy();
      plot.current = new uPlot(optionsOf(lines, format, Math.max(place.current.clientWidth, 200)), newest.current, place.current);
    };
    make();
    const scheme = matchMedia('(prefers-color-scheme: dark)');
    const sized = new ResizeObserver(() => plot.current.setSize({ width: Math.max(place.current.clientWidth, 200), height: HEIGHT }));
    scheme.addEventListener('change', make);
    sized.observe(place.current);
    return () => {
      scheme.removeEventListener('change', make);
      sized.disconnect();
      plot.current.destroy();
    };
  }, []);
  useEffect(() => plot.current?.setData(data), [data]);
  return <div class="chart" ref={place} />;
}

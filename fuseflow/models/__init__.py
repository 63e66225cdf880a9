# SPDX-License-Identifier: MIT
"""Reference models as real ``nn.Module``s, and the seeded data they run on.

``zoo`` builds a model by name, ``factory`` one from a user's own ``package.module:factory``; both
return a ``ModelCase``. ``graphs``, ``graph_file`` and ``power_law`` make graphs, ``bigbird`` the
attention mask. Nothing here exports or compiles a model, and nothing imports torch before a model
is built.
"""

from fuseflow.models.case import ModelCase

__all__ = ["ModelCase"]

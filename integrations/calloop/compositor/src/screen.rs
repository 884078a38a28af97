//! What would be seen: the wallpaper and the windows on it, drawn into memory.

use std::error::Error;

use smithay::backend::allocator::Fourcc;
use smithay::backend::renderer::damage::OutputDamageTracker;
use smithay::backend::renderer::element::surface::WaylandSurfaceRenderElement;
use smithay::backend::renderer::element::texture::{TextureBuffer, TextureRenderElement};
use smithay::backend::renderer::element::{Kind, render_elements};
use smithay::backend::renderer::pixman::{PixmanRenderer, PixmanTexture};
use smithay::backend::renderer::{Bind as _, Color32F, ExportMem as _, Offscreen as _};
use smithay::desktop::space::{SpaceRenderElements, space_render_elements};
use smithay::desktop::{Space, Window};
use smithay::output::{Mode, Output, PhysicalProperties, Scale, Subpixel};
use smithay::reexports::pixman::Image;
use smithay::utils::{Rectangle, Transform};
use tine::{Shared, SharedMut};

/// Behind the windows where there is no wallpaper.
const BACKGROUND: Color32F = Color32F::new(0.2, 0.2, 0.2, 1.0);
const FORMAT: Fourcc = Fourcc::Xrgb8888;

render_elements! {
    Element<=PixmanRenderer>;
    Windows=SpaceRenderElements<PixmanRenderer, WaylandSurfaceRenderElement<PixmanRenderer>>,
    Wallpaper=TextureRenderElement<PixmanTexture>,
}

/// A screen that nobody looks at.
pub struct Screen {
    pub output: Output,
    size: (u16, u16),
    renderer: PixmanRenderer,
    /// What would be seen; each frame changes what has changed.
    image: Image<'static, 'static>,
    damage: OutputDamageTracker,
    wallpaper: Option<TextureBuffer<PixmanTexture>>,
}

impl Screen {
    /// Makes it, `size` pixels wide and high.
    pub fn new(size: (u16, u16)) -> Result<Self, Box<dyn Error>> {
        let physical = PhysicalProperties {
            size: (0, 0).into(),
            subpixel: Subpixel::None,
            make: "tine".into(),
            model: "none".into(),
        };
        let output = Output::new("headless-1".into(), physical);
        let mode = Mode { size: (size.0.into(), size.1.into()).into(), refresh: 60_000 };
        let origin = (0, 0).into();
        output.set_preferred(mode);
        output.change_current_state(
            Some(mode),
            Some(Transform::Normal),
            Some(Scale::Integer(1)),
            Some(origin),
        );
        let mut renderer = PixmanRenderer::new()?;
        let image = renderer.create_buffer(FORMAT, (size.0.into(), size.1.into()).into())?;
        let damage = OutputDamageTracker::from_output(&output);
        Ok(Screen { output, size, renderer, image, damage, wallpaper: None })
    }

    /// Pixels from side to side.
    pub fn width(&self) -> u16 {
        self.size.0
    }

    /// Sets what is behind the windows.
    ///
    /// # Errors
    /// When the pixels are not those of this screen: what a worker sends is not believed.
    pub fn set_wallpaper(&mut self, pixels: &Shared) -> Result<(), Box<dyn Error>> {
        let (width, height) = self.size;
        let expected = 4 * usize::from(width) * usize::from(height);
        if pixels.len() != expected {
            return Err(format!("a wallpaper of {} octets, not {expected}", pixels.len()).into());
        }
        let size = (i32::from(width), i32::from(height));
        let buffer = TextureBuffer::from_memory(
            &mut self.renderer,
            pixels,
            FORMAT,
            size,
            false,
            1,
            Transform::Normal,
            Some(vec![Rectangle::from_size(size.into())]),
        )?;
        self.wallpaper = Some(buffer);
        Ok(())
    }

    /// Draws what has changed since the last time.
    pub fn draw(&mut self, windows: &Space<Window>) -> Result<(), Box<dyn Error>> {
        let windows = space_render_elements(&mut self.renderer, [windows], &self.output, 1.0)?;
        let mut elements: Vec<_> = windows.into_iter().map(Element::Windows).collect();
        elements.extend(self.wallpaper.as_ref().map(|buffer| {
            let kind = Kind::Unspecified;
            let origin = (0.0, 0.0);
            TextureRenderElement::from_texture_buffer(origin, buffer, None, None, None, kind).into()
        }));
        let mut target = self.renderer.bind(&mut self.image)?;
        // The image is always the one of the frame before.
        let age = 1;
        self.damage.render_output(&mut self.renderer, &mut target, age, &elements, BACKGROUND)?;
        Ok(())
    }

    /// Copies what was drawn last into memory that can be sent.
    pub fn pixels(&mut self) -> Result<SharedMut, Box<dyn Error>> {
        let target = self.renderer.bind(&mut self.image)?;
        let (width, height) = (i32::from(self.size.0), i32::from(self.size.1));
        let whole = Rectangle::from_size((width, height).into());
        let copy = self.renderer.copy_framebuffer(&target, whole, FORMAT)?;
        let octets = self.renderer.map_texture(&copy)?;
        let mut pixels = SharedMut::new(octets.len())?;
        pixels.copy_from_slice(octets);
        Ok(pixels)
    }
}
